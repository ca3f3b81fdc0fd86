//! `application/x-www-form-urlencoded`, written and read.
