mod audience;
mod requests;
mod template;
