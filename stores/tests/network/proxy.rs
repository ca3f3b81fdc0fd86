//! A connection that can be cut after the server got a request and before its answer comes through.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    cut: Arc<AtomicBool>,
}

impl Proxy {
    pub(crate) fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self { port: listener.local_addr().unwrap().port(), cut: Arc::default() };
        let cut = Arc::clone(&proxy.cut);
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { continue };
                let back = (server.try_clone().unwrap(), client.try_clone().unwrap(), Arc::clone(&cut));
                thread::spawn(move || pump(client, server, &AtomicBool::new(false)));
                thread::spawn(move || pump(back.0, back.1, &back.2));
            }
        });
        proxy
    }

    /// The next answer is lost, and its connection with it.
    pub(crate) fn cut_next_answer(&self) {
        self.cut.store(true, Ordering::SeqCst);
    }

    pub(crate) fn has_cut(&self) -> bool {
        !self.cut.load(Ordering::SeqCst)
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, cut: &AtomicBool) {
    let mut bytes = [0; 65536];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if cut.swap(false, Ordering::SeqCst) || to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
