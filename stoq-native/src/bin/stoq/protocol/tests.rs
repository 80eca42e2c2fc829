//! The lines as the contract writes them, and what foreign bytes can do to their readers.

use super::*;
use core::fmt::Debug;
use proptest::prelude::*;
use tokio::io::BufReader;

const HASH: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn both_ways<T: Serialize + DeserializeOwned + PartialEq + Debug>(message: &T, text: &str) {
    assert_eq!(
        String::from_utf8(encode(message)).unwrap(),
        format!("{text}\n")
    );
    assert_eq!(serde_json::from_str::<T>(text).unwrap(), *message);
}

#[test]
fn lines_are_as_documented() {
    let name = "a.bin".to_owned();
    both_ways(
        &Request::Put {
            name: name.clone(),
            size: 123,
        },
        r#"{"op":"put","name":"a.bin","size":123}"#,
    );
    both_ways(
        &Request::Get { name: name.clone() },
        r#"{"op":"get","name":"a.bin"}"#,
    );
    both_ways(&Request::List, r#"{"op":"list"}"#);
    both_ways(
        &Request::Delete { name: name.clone() },
        r#"{"op":"delete","name":"a.bin"}"#,
    );
    let sha256 = HASH.parse().unwrap();
    both_ways(
        &Stored {
            name: name.clone(),
            size: 123,
            sha256,
        },
        &format!(r#"{{"name":"a.bin","size":123,"sha256":"{HASH}"}}"#),
    );
    both_ways(&Found { size: 123 }, r#"{"size":123}"#);
    both_ways(&Trailer { sha256 }, &format!(r#"{{"sha256":"{HASH}"}}"#));
    let files = vec![Listed {
        name,
        size: 123,
        modified: 1_690_000_000_000,
    }];
    both_ways(
        &Listing {
            files,
            used: 123,
            quota: 10_737_418_240,
        },
        r#"{"files":[{"name":"a.bin","size":123,"modified":1690000000000}],"used":123,"quota":10737418240}"#,
    );
    both_ways(&Deleted {}, "{}");
}

#[test]
fn a_refusal_stands_for_any_answer() {
    let line = br#"{"error":{"code":"no-such-file","message":"there is no such file"}}"#;
    let Err(AnswerError::Refused(refusal)) = decode_answer::<Deleted>(line) else {
        panic!()
    };
    assert_eq!(refusal.code, RefusalCode::NoSuchFile);
    assert_eq!(refusal.to_string(), "there is no such file (no-such-file)");
    assert_eq!(encode_refusal(refusal), [line, &b"\n"[..]].concat());
    assert!(decode_answer::<Deleted>(b"{}").is_ok());
    assert!(decode_answer::<Deleted>(br#"{"error":3}"#).is_err());
}

#[test]
fn codes_and_fields_of_later_versions_are_borne() {
    let line = br#"{"error":{"code":"too-warm","message":"wait"}}"#;
    let Err(AnswerError::Refused(refusal)) = decode_answer::<Found>(line) else {
        panic!()
    };
    assert_eq!(refusal.code, RefusalCode::Other);
    assert_eq!(
        decode_answer::<Found>(br#"{"size":1,"colour":"red"}"#).unwrap(),
        Found { size: 1 }
    );
    let request =
        serde_json::from_str::<Request>(r#"{"size":1,"name":"a","op":"put","colour":"red"}"#);
    assert_eq!(
        request.unwrap(),
        Request::Put {
            name: "a".into(),
            size: 1
        }
    );
}

#[test]
fn requests_that_are_none_are_refused() {
    for text in [
        "",
        "[]",
        "{}",
        r#"{"op":"put","name":"a"}"#,
        r#"{"op":"put","name":"a","size":-1}"#,
        r#"{"op":"put","name":"a","size":1.5}"#,
        r#"{"op":"put","name":"a","size":18446744073709551616}"#,
        r#"{"op":"chmod","name":"a"}"#,
        r#"{"op":"list"} {"op":"list"}"#,
    ] {
        assert!(serde_json::from_str::<Request>(text).is_err(), "{text}");
    }
}

#[test]
fn the_longest_names_fit_their_lines() {
    // Quotation marks double when escaped; no accepted name holds a character that grows more.
    let name = "\"".repeat(255);
    assert!(
        encode(&Request::Put {
            name: name.clone(),
            size: u64::MAX
        })
        .len()
            < MAX_LINE
    );
    let listed = Listed {
        name,
        size: u64::MAX,
        modified: u64::MAX,
    };
    let listing = Listing {
        files: vec![listed; 10_000],
        used: u64::MAX,
        quota: u64::MAX,
    };
    assert!(encode(&listing).len() < MAX_LISTING);
}

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        (".*", any::<u64>()).prop_map(|(name, size)| Request::Put { name, size }),
        ".*".prop_map(|name| Request::Get { name }),
        Just(Request::List),
        ".*".prop_map(|name| Request::Delete { name }),
    ]
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
}

proptest! {
    #[test]
    fn decode_reverses_encode(request in request()) {
        let line = encode(&request);
        prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        prop_assert_eq!(serde_json::from_slice::<Request>(&line).unwrap(), request);
    }

    #[test]
    fn any_bytes_return(bytes: Vec<u8>) {
        let _ = serde_json::from_slice::<Request>(&bytes);
        let _ = decode_answer::<Stored>(&bytes);
        let _ = decode_answer::<Found>(&bytes);
        let _ = decode_answer::<Trailer>(&bytes);
        let _ = decode_answer::<Listing>(&bytes);
        let _ = decode_answer::<Deleted>(&bytes);
    }

    #[test]
    fn changed_lines_return(request in request(), at: prop::sample::Index, byte: u8) {
        let mut line = encode(&request);
        let at = at.index(line.len());
        line[at] = byte;
        let _ = serde_json::from_slice::<Request>(&line);
        let _ = serde_json::from_slice::<Request>(&line[..at]);
    }

    #[test]
    fn a_line_is_what_stands_before_its_end(bytes: Vec<u8>, chunk in 1..64usize, limit in 1..128usize) {
        let mut input = BufReader::with_capacity(chunk, bytes.as_slice());
        let result = runtime().block_on(read_line(&mut input, limit));
        match bytes.iter().position(|byte| *byte == b'\n') {
            Some(end) if end < limit => prop_assert_eq!(result.unwrap(), &bytes[..end]),
            None if bytes.len() < limit => prop_assert!(matches!(result, Err(LineError::Ended))),
            _ => prop_assert!(matches!(result, Err(LineError::TooLong { .. })), "{result:?}"),
        }
    }

    #[test]
    fn what_follows_a_line_stays(head in "[a-z]{0,50}", tail: Vec<u8>, chunk in 1..64usize) {
        let bytes = [head.as_bytes(), b"\n", &tail].concat();
        let mut input = BufReader::with_capacity(chunk, bytes.as_slice());
        let rest = runtime().block_on(async {
            read_line(&mut input, 64).await.unwrap();
            let mut rest = Vec::new();
            tokio::io::AsyncReadExt::read_to_end(&mut input, &mut rest).await.unwrap();
            rest
        });
        prop_assert_eq!(rest, tail);
    }
}
