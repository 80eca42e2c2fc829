//! The service on streams in memory, with a clock that jumps.

use super::*;
use crate::protocol::{AnswerError, decode_answer};
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, DuplexStream, duplex};

const ALL: Rights = Rights {
    read: true,
    write: true,
};

#[test]
fn who_may_read_does_not_write_and_the_other_way_round() {
    let name = || "a".to_owned();
    let reading = [Request::Get { name: name() }, Request::List];
    let writing = [
        Request::Put {
            name: name(),
            size: 1,
        },
        Request::Delete { name: name() },
    ];
    for (read, write) in [(true, false), (false, true), (false, false), (true, true)] {
        let rights = Rights { read, write };
        let code = |request| rights.check(request).map_err(|refusal| refusal.code);
        let expected = |may: bool| may.then_some(()).ok_or(RefusalCode::NotPermitted);
        for request in &reading {
            assert_eq!(code(request), expected(read), "{request:?}");
        }
        for request in &writing {
            assert_eq!(code(request), expected(write), "{request:?}");
        }
    }
}

fn store(quota: u64) -> (TempDir, Store) {
    let directory = TempDir::new().unwrap();
    let store = Store::open(directory.path(), quota).unwrap();
    (directory, store)
}

fn serve(
    store: &Store,
) -> (
    DuplexStream,
    tokio::task::JoinHandle<Result<(), RequestError>>,
) {
    let (client, server) = duplex(1000);
    let store = store.clone();
    let served = tokio::spawn(async move {
        let (input, output) = tokio::io::split(server);
        answer(&store, ALL, input, output).await
    });
    (client, served)
}

/// Sends `request` and the end of the stream; all that comes back.
async fn ask(store: &Store, request: &[u8]) -> Vec<u8> {
    let (client, served) = serve(store);
    let (mut input, mut output) = tokio::io::split(client);
    let mut answer = Vec::new();
    let send = async {
        let _ = output.write_all(request).await;
        let _ = output.shutdown().await;
    };
    let (_, read) = tokio::join!(send, input.read_to_end(&mut answer));
    read.unwrap();
    served.await.unwrap().unwrap();
    answer
}

async fn ask_for<T: DeserializeOwned>(store: &Store, request: &[u8]) -> Result<T, RefusalCode> {
    let answer = ask(store, request).await;
    assert!(answer.len() <= MAX_LINE);
    match decode_answer(&answer) {
        Ok(answer) => Ok(answer),
        Err(AnswerError::Refused(refusal)) => Err(refusal.code),
        Err(error) => panic!("{error}: {}", String::from_utf8_lossy(&answer)),
    }
}

fn put_request(name: &str, size: usize, body: &[u8]) -> Vec<u8> {
    let mut request = encode(&Request::Put {
        name: name.into(),
        size: size as u64,
    });
    request.extend_from_slice(body);
    request
}

#[tokio::test]
async fn a_file_goes_and_comes_back() {
    let (_directory, store) = store(1 << 20);
    let body: Vec<u8> = (0..300_000).map(|i| (i % 251) as u8).collect();
    let stored: Stored = ask_for(&store, &put_request("a", body.len(), &body))
        .await
        .unwrap();
    assert_eq!((stored.name.as_str(), stored.size), ("a", 300_000));

    let answer = ask(&store, b"{\"op\":\"get\",\"name\":\"a\"}\n").await;
    let mut answer = BufReader::new(answer.as_slice());
    let mut line = String::new();
    answer.read_line(&mut line).await.unwrap();
    assert_eq!(line, "{\"size\":300000}\n");
    let mut back = vec![0; body.len()];
    answer.read_exact(&mut back).await.unwrap();
    assert!(back == body);
    line.clear();
    answer.read_line(&mut line).await.unwrap();
    assert_eq!(line, format!("{{\"sha256\":\"{}\"}}\n", stored.sha256));

    let listing: Listing = ask_for(&store, b"{\"op\":\"list\"}\n").await.unwrap();
    assert_eq!(
        (listing.files.len(), listing.used, listing.quota),
        (1, 300_000, 1 << 20)
    );
    let _: Deleted = ask_for(&store, b"{\"op\":\"delete\",\"name\":\"a\"}\n")
        .await
        .unwrap();
    let gone = ask_for::<Deleted>(&store, b"{\"op\":\"delete\",\"name\":\"a\"}\n").await;
    assert_eq!(gone.unwrap_err(), RefusalCode::NoSuchFile);
}

#[tokio::test]
async fn each_bad_request_has_its_code() {
    let (_directory, store) = store(10);
    let long = [b" ".repeat(MAX_LINE), b"{\"op\":\"list\"}\n".to_vec()].concat();
    let quoted = format!("{{\"op\":\"{}\"}}\n", "\\u0001".repeat(600));
    for (request, code) in [
        (&b""[..], RefusalCode::BadRequest),
        (b"\n", RefusalCode::BadRequest),
        (b"{\"op\":\"list\"}", RefusalCode::BadRequest),
        (&long, RefusalCode::BadRequest),
        (quoted.as_bytes(), RefusalCode::BadRequest),
        (&put_request("../a", 1, b"x"), RefusalCode::BadName),
        (b"{\"op\":\"get\",\"name\":\"a/b\"}\n", RefusalCode::BadName),
        (
            b"{\"op\":\"get\",\"name\":\"a\"}\n",
            RefusalCode::NoSuchFile,
        ),
        (&put_request("a", 11, b"x"), RefusalCode::QuotaExceeded),
        (
            &put_request("a", usize::MAX, b"x"),
            RefusalCode::QuotaExceeded,
        ),
        (&put_request("a", 10, b"123456789"), RefusalCode::TooShort),
        (&put_request("a", 3, b"1234"), RefusalCode::BadRequest),
    ] {
        assert_eq!(
            ask_for::<Listing>(&store, request).await.unwrap_err(),
            code,
            "{request:?}"
        );
    }
    let listing: Listing = ask_for(&store, b"{\"op\":\"list\"}\n").await.unwrap();
    assert!(listing.files.is_empty());
    let _: Stored = ask_for(&store, &put_request("a", 10, b"1234567890"))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_refusal_comes_before_the_body_has_been_sent() {
    let (_directory, store) = store(10);
    let (client, served) = serve(&store);
    let (input, mut output) = tokio::io::split(client);
    output
        .write_all(&put_request("a", 1 << 30, b""))
        .await
        .unwrap();
    let line = read_line(&mut BufReader::new(input), MAX_LINE)
        .await
        .unwrap();
    assert!(matches!(
        decode_answer::<Stored>(&line),
        Err(AnswerError::Refused(_))
    ));
    output.shutdown().await.unwrap();
    served.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stalled_put_gives_its_bytes_back() {
    let (_directory, store) = store(10);
    let (mut client, served) = serve(&store);
    client
        .write_all(&put_request("a", 10, b"12345"))
        .await
        .unwrap();
    assert!(matches!(served.await.unwrap(), Err(RequestError::Stalled)));
    let _: Stored = ask_for(&store, &put_request("b", 10, b"1234567890"))
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_stops_reading_is_let_go() {
    let (_directory, store) = store(1 << 20);
    let _: Stored = ask_for(&store, &put_request("a", 100_000, &[7; 100_000]))
        .await
        .unwrap();
    let (mut client, served) = serve(&store);
    client
        .write_all(b"{\"op\":\"get\",\"name\":\"a\"}\n")
        .await
        .unwrap();
    assert!(matches!(served.await.unwrap(), Err(RequestError::Stalled)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a peer sends, it gets one line of JSON, and nothing but a complete put is stored.
    #[test]
    fn any_bytes_are_answered(bytes: Vec<u8>, request in prop::sample::select(vec![
        "", "{\"op\":\"list\"}\n", "{\"op\":\"put\",\"name\":\"a\",\"size\":9}\n", "{\"op\":\"get\",\"name\":\"",
    ])) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (_directory, store) = store(1000);
            let answer = ask(&store, &[request.as_bytes(), &bytes].concat()).await;
            assert_eq!(answer.iter().filter(|byte| **byte == b'\n').count(), 1);
            serde_json::from_slice::<serde_json::Value>(&answer).unwrap();
            let whole = request.contains("put") && bytes.len() == 9;
            assert_eq!(store.list().unwrap().files.len(), usize::from(whole));
        });
    }
}
