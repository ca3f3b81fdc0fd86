//! What must be measured in a process of its own: how many file descriptors are open.

#![cfg(target_os = "linux")]

#[cfg(test)]
mod descriptors {
    use std::net::SocketAddr;
    use std::process::Command;
    use std::time::Duration;

    use grantflow_core::loopback::{Pages, Place, ResponseMode};
    use grantflow_tokio::RedirectListener;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    fn open_descriptors() -> usize {
        std::fs::read_dir("/proc/self/fd").unwrap().count()
    }

    async fn listener() -> (RedirectListener, SocketAddr) {
        let listener = RedirectListener::bind(&Place::default(), ResponseMode::Query, Pages::default()).await.unwrap();
        let uri = listener.redirect_uri();
        let address = uri.trim_start_matches("http://").split('/').next().unwrap().parse().unwrap();
        (listener, address)
    }

    fn request(address: SocketAddr) -> String {
        format!("GET /callback?code=c&state=s HTTP/1.1\r\nHost: {address}\r\n\r\n")
    }

    async fn browse(address: SocketAddr) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request(address).as_bytes()).await.unwrap();
        let mut page = String::new();
        let _ = stream.read_to_string(&mut page).await;
        page
    }

    const A_WHILE: Duration = Duration::from_secs(60);

    /// One login that ends in one of four ways.
    async fn round(number: usize) {
        let (mut listener, address) = listener().await;
        match number % 4 {
            // Nobody comes in time.
            0 => assert!(listener.wait_for(Duration::ZERO).await.is_err()),
            // The wait is given up, with somebody connected.
            1 => {
                let _idle = TcpStream::connect(address).await.unwrap();
                let waiting = listener.wait_for(A_WHILE);
                assert!(tokio::time::timeout(Duration::ZERO, waiting).await.is_err());
            }
            // A callback comes and is answered.
            2 => {
                let browser = tokio::spawn(browse(address));
                listener.wait_for(A_WHILE).await.unwrap().1.success().await;
                assert!(browser.await.unwrap().contains("Code received!"));
            }
            // A callback comes and the login is given up.
            _ => {
                let browser = tokio::spawn(browse(address));
                drop(listener.wait_for(A_WHILE).await.unwrap());
                assert_eq!(browser.await.unwrap(), "");
            }
        }
    }

    /// Run by a test below in a process of its own, where nobody else opens or closes anything.
    #[test]
    #[ignore = "run by lb_13_a_thousand_logins_leave_no_descriptor_open"]
    fn thousand_logins() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(round(2));
        let before = open_descriptors();
        for number in 0..1000 {
            runtime.block_on(round(number));
        }
        assert_eq!(open_descriptors(), before);
    }

    /// Run by a test below in a process that may have few descriptors.
    #[test]
    #[ignore = "run by fl_43_when_descriptors_run_out_the_listener_waits_and_recovers"]
    fn few_descriptors() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (mut listener, address) = listener().await;
            let (tell, told) = tokio::sync::oneshot::channel();
            let others = tokio::spawn(async move {
                // Connections take descriptors on both sides of this process until there are none.
                let mut held = Vec::new();
                while let Ok(stream) = TcpStream::connect(address).await {
                    held.push(stream);
                    tokio::task::yield_now().await;
                }
                assert!(!held.is_empty());
                assert!(std::fs::File::open("/dev/null").is_err(), "there are none left");
                let _ = tell.send(());
                for _ in 0..1000 {
                    tokio::task::yield_now().await;
                }
                drop(held);
                browse(address).await
            });
            let (_, responder) = listener.wait_for(A_WHILE).await.unwrap();
            assert!(told.await.is_ok());
            responder.success().await;
            assert!(others.await.unwrap().contains("Code received!"));
        });
    }

    fn in_a_process_of_its_own(test: &str, limit: usize) {
        let program = std::env::current_exe().unwrap();
        let script = format!("ulimit -n {limit} && exec \"$0\" --ignored --exact descriptors::{test}");
        let output = Command::new("sh").args(["-c", &script]).arg(program).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
    }

    #[test]
    fn lb_13_a_thousand_logins_leave_no_descriptor_open() {
        in_a_process_of_its_own("thousand_logins", 100);
    }

    #[test]
    fn fl_43_when_descriptors_run_out_the_listener_waits_and_recovers() {
        in_a_process_of_its_own("few_descriptors", 40);
    }
}
