//! The client against servers on the loopback that do as they please.

#![forbid(unsafe_code)]

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use tradewind_egress::{Answer, Client, Connection, Loss, Method, Reach, Request, Settings, Unsent};

const PATIENCE: Duration = Duration::from_secs(20);

fn client(reach: Reach) -> Client {
    let settings = Settings { reach, user_agent: "Tradewind/1 (+https://example.com)".into(), answer_bytes_max: 1_000 };
    Client::new(settings).unwrap()
}

fn request(origin: String) -> Request {
    Request {
        method: Method::Post,
        origin,
        path: "/api/events".into(),
        headers: vec![("content-type".into(), "application/json".into()), ("authorization".into(), "Key 1".into())],
        body: br#"{"who":"jane@example.com"}"#.to_vec(),
        deadline: PATIENCE,
        connection: Connection::Kept,
    }
}

/// A listener with its origin.
fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    (listener, origin)
}

/// Serves one connection; returns what `serve` says of it.
fn serve<T: Send + 'static>(
    listener: TcpListener,
    serve: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> JoinHandle<T> {
    std::thread::spawn(move || serve(listener.accept().unwrap().0))
}

/// Reads one request, head and body.
fn read_request(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut chunk = [0; 4096];
    while !text.ends_with(b"}") {
        let length = stream.read(&mut chunk).unwrap();
        assert!(length > 0, "the request ended early");
        text.extend_from_slice(&chunk[..length]);
    }
    String::from_utf8(text).unwrap()
}

fn answering(answer: &'static str) -> (JoinHandle<String>, String) {
    let (listener, origin) = listen();
    let served = serve(listener, move |mut stream| {
        let request = read_request(&mut stream);
        // The client may have had enough before the end.
        let _ = stream.write_all(answer.as_bytes());
        request
    });
    (served, origin)
}

fn send(request: Request, permit: impl FnOnce() -> bool + Send + Sync + 'static) -> Answer {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(client(Reach::PublicAndSandbox).send(request, permit))
}

#[test]
fn a_request_arrives_whole_and_its_answer_comes_back() {
    let (served, origin) = answering("HTTP/1.1 202 Accepted\r\nX-Request-Id: 7\r\ncontent-length: 2\r\n\r\n{}");
    let answer = send(request(origin), || true);
    let Answer::Received { status, headers, body } = answer else { panic!("expected an answer, got {answer:?}") };
    assert_eq!((status, body.as_slice()), (202, &b"{}"[..]));
    assert!(headers.contains(&("x-request-id".into(), "7".into())));
    let request = served.join().unwrap();
    assert!(request.starts_with("POST /api/events HTTP/1.1\r\n"), "{request}");
    for line in ["user-agent: Tradewind/1 (+https://example.com)", "authorization: Key 1", "content-length: 26"] {
        assert!(request.contains(line), "{request}");
    }
}

#[test]
fn the_permit_is_asked_when_the_connection_is_open_and_nothing_has_left() {
    let (listener, origin) = listen();
    let (accepted, is_accepted) = mpsc::channel();
    let served = serve(listener, move |mut stream| {
        stream.set_nonblocking(true).unwrap();
        let early = stream.read(&mut [0; 1]);
        accepted.send(early.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)).unwrap();
        stream.set_nonblocking(false).unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        rest.len()
    });
    let is_accepted = std::sync::Mutex::new(is_accepted);
    let answer = send(request(origin), move || {
        let is_quiet = is_accepted.lock().unwrap().recv_timeout(PATIENCE).expect("the connection is open");
        assert!(is_quiet, "a byte left before the permit was asked");
        false
    });
    assert_eq!(answer, Answer::Unsent(Unsent::Withheld));
    assert_eq!(served.join().unwrap(), 0, "bytes left without a permit");
}

#[test]
fn without_a_server_nothing_is_sent_and_the_permit_is_not_used() {
    let (listener, origin) = listen();
    drop(listener);
    let asked = Arc::new(AtomicU32::new(0));
    let counted = asked.clone();
    let answer = send(request(origin), move || counted.fetch_add(1, Ordering::SeqCst) == 0);
    assert!(matches!(answer, Answer::Unsent(Unsent::Unreachable { .. })), "{answer:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[test]
fn a_connection_that_breaks_after_the_request_leaves_it_open_what_happened() {
    let (served, origin) = answering("");
    let answer = send(request(origin), || true);
    assert!(matches!(answer, Answer::Lost(Loss::Broken { .. })), "{answer:?}");
    served.join().unwrap();
    let (served, origin) = answering("HTTP/1.1 202 Accepted\r\ncontent-length: 20\r\n\r\n{}");
    let answer = send(request(origin), || true);
    assert!(matches!(answer, Answer::Lost(Loss::Broken { .. })), "{answer:?}");
    served.join().unwrap();
}

#[test]
fn a_server_that_never_answers_is_given_up_at_the_deadline() {
    for dripped in [&b""[..], b"HTTP/1.1 202 Accepted\r\ncontent-length: 20\r\n\r\n{"] {
        let (listener, origin) = listen();
        let served = serve(listener, move |mut stream| {
            read_request(&mut stream);
            stream.write_all(dripped).unwrap();
            // Ends when the client hangs up.
            let _ = stream.read(&mut [0; 1]);
        });
        let answer = send(Request { deadline: Duration::from_millis(300), ..request(origin) }, || true);
        assert_eq!(answer, Answer::Lost(Loss::Deadline));
        served.join().unwrap();
    }
}

#[test]
fn an_answer_is_read_up_to_its_bound() {
    const CHUNKED: &str = "HTTP/1.1 202 Accepted\r\ntransfer-encoding: chunked\r\n\r\n258\r\n";
    let chunk = "x".repeat(600);
    for answer in [
        format!("HTTP/1.1 202 Accepted\r\ncontent-length: 1001\r\n\r\n{}", "x".repeat(1_001)),
        format!("{CHUNKED}{chunk}\r\n258\r\n{chunk}\r\n0\r\n\r\n"),
    ] {
        let (served, origin) = answering(answer.leak());
        assert_eq!(send(request(origin), || true), Answer::Lost(Loss::TooLarge));
        served.join().unwrap();
    }
    let whole = format!("HTTP/1.1 202 Accepted\r\ncontent-length: 1000\r\n\r\n{}", "x".repeat(1_000));
    let (served, origin) = answering(whole.leak());
    assert!(matches!(send(request(origin), || true), Answer::Received { status: 202, .. }));
    served.join().unwrap();
}

#[test]
fn a_redirect_is_an_answer_and_not_followed() {
    let (elsewhere, target) = listen();
    let answer = format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {target}/\r\ncontent-length: 0\r\n\r\n");
    let (served, origin) = answering(answer.leak());
    let answer = send(request(origin), || true);
    assert!(matches!(answer, Answer::Received { status: 307, .. }), "{answer:?}");
    served.join().unwrap();
    assert_nobody_called(&elsewhere);
}

#[test]
fn what_is_refused_is_never_connected_to() {
    let (listener, origin) = listen();
    let port = listener.local_addr().unwrap().port();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (reach, origin) in [
        (Reach::Public, origin),
        (Reach::PublicAndSandbox, format!("http://localhost:{port}")),
        // Resolved, then refused: a name never leads inside.
        (Reach::Public, "https://localhost".into()),
        (Reach::PublicAndSandbox, "https://localhost".into()),
    ] {
        let answer = runtime.block_on(client(reach).send(request(origin), || true));
        assert!(matches!(answer, Answer::Unsent(Unsent::Refused { .. })), "{answer:?}");
    }
    assert_nobody_called(&listener);
}

#[test]
fn a_fresh_connection_is_used_once() {
    let (listener, origin) = listen();
    let served = std::thread::spawn(move || {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            read_request(&mut stream);
            stream.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").unwrap();
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = client(Reach::PublicAndSandbox);
    for _ in 0..2 {
        let request = Request { connection: Connection::Fresh, ..request(origin.clone()) };
        let answer = runtime.block_on(client.send(request, || true));
        assert!(matches!(answer, Answer::Received { .. }), "{answer:?}");
    }
    served.join().unwrap();
}

#[test]
fn neither_requests_nor_answers_print_what_is_in_them() {
    let request = request("http://127.0.0.1:1".into());
    let answer = Answer::Received { status: 400, headers: Vec::new(), body: request.body.clone() };
    let shown = format!("{request:?} {answer:?}");
    assert!(!shown.contains("example.com") && !shown.contains("Key 1"), "{shown}");
}

fn assert_nobody_called(listener: &TcpListener) {
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "somebody called");
}
