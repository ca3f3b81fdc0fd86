use std::sync::{Mutex, OnceLock};

use grantflow_core::http::Body;
use http::Request;

use super::{Server, outgoing};
use crate::transport::{HttpClient, UreqClient};

#[test]
fn lb_14_no_log_of_any_level_shows_what_is_secret() {
    struct Lines;
    static LINES: OnceLock<Mutex<String>> = OnceLock::new();
    impl log::Log for Lines {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, record: &log::Record<'_>) {
            LINES.get_or_init(Mutex::default).lock().unwrap().push_str(&format!("{}\n", record.args()));
        }
        fn flush(&self) {}
    }
    log::set_logger(&Lines).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let server =
        Server::saying("HTTP/1.1 200 OK\r\ncontent-length: 15\r\nx-token: CANARY-4\r\n\r\n{\"t\":\"CANARY-3\"");
    let request = Request::post(server.url()).header("authorization", "Basic CANARY-1");
    let body = Body::from(b"code=CANARY-2".to_vec());
    UreqClient::default().send(outgoing(request.body(body).unwrap())).unwrap();
    let lines = LINES.get_or_init(Mutex::default).lock().unwrap().clone();
    assert!(lines.contains("127.0.0.1"), "something is logged");
    assert!(!lines.contains("CANARY"), "{lines}");
}
