mod audience;
mod requests;
