//! The command as people use it: the built program, against a development server in this process.

mod arguments;
mod demo;
mod login;
mod pictures;
mod process;
mod support;
mod token;
