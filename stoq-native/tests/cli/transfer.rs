//! Files go there and come back the same.

use std::fs;

use tempfile::TempDir;

use crate::process::{Process, Server};

/// `length` random bytes in a file, and their SHA-256 as text.
fn random_file(directory: &TempDir, name: &str, length: usize) -> (String, Vec<u8>, String) {
    let mut content = vec![0; length];
    aws_lc_rs::rand::fill(&mut content).unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &content);
    let hex = digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let path = directory.path().join(name);
    fs::write(&path, &content).unwrap();
    (path.to_str().unwrap().into(), content, hex)
}

#[test]
fn a_file_goes_comes_back_and_is_deleted() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(&directory, &[]);
    let (path, content, hash) = random_file(&directory, "a file.bin", 5_000_011);

    let sent = server.done(&["send", &path, "URL"]);
    assert_eq!(
        sent,
        format!("stored a file.bin 5000011 bytes sha256 {hash}\n")
    );
    assert!(fs::read(server.store.join("a file.bin")).unwrap() == content);

    let listed = server.done(&["list", "URL"]);
    let lines: Vec<_> = listed.lines().collect();
    assert!(lines[0].starts_with("        5000011  20") && lines[0].ends_with("Z  a file.bin"));
    assert_eq!(lines[1], "1 files, 4.8 MiB of 10.0 GiB used");

    let fetched = server.done(&["get", "URL", "a file.bin", "--out", "back.bin"]);
    assert_eq!(
        fetched,
        format!("fetched a file.bin 5000011 bytes sha256 {hash}\n")
    );
    assert!(fs::read(directory.path().join("back.bin")).unwrap() == content);

    assert_eq!(
        server.done(&["delete", "URL", "a file.bin"]),
        "deleted a file.bin\n"
    );
    server.assert_empty();
}

#[test]
fn a_file_can_be_empty_renamed_replaced_and_printed() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(&directory, &["--quota", "100B"]);
    let path = directory.path().join("file");
    let path = path.to_str().unwrap();
    fs::write(path, "").unwrap();
    server.done(&["send", path, "URL", "--name", "other"]);
    assert_eq!(server.done(&["get", "URL", "other", "-o", "-"]), "");
    fs::write(path, "text\n").unwrap();
    server.done(&["send", path, "URL", "--name", "other"]);
    assert_eq!(server.done(&["get", "URL", "other", "-o", "-"]), "text\n");
    assert!(
        server
            .done(&["list", "URL"])
            .ends_with("1 files, 5 B of 100 B used\n")
    );

    // Without --out it lands here, under its name.
    server.done(&["get", "URL", "other"]);
    assert_eq!(
        fs::read_to_string(directory.path().join("other")).unwrap(),
        "text\n"
    );
}

#[test]
fn a_certificate_from_files_is_trusted_through_its_authority() {
    let directory = TempDir::new().unwrap();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    fs::write(directory.path().join("cert.pem"), made.cert.pem()).unwrap();
    fs::write(
        directory.path().join("key.pem"),
        made.signing_key.serialize_pem(),
    )
    .unwrap();
    let server = Server::start(&directory, &["--cert", "cert.pem", "--key", "key.pem"]);
    let words = ["list", &server.url("files"), "--ca", "cert.pem"];
    let ended = Process::start(&words, directory.path()).end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn pings_are_measured() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(&directory, &[]);
    let printed = server.done(&["ping", "URL", "--count", "3"]);
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines.len(), 4, "{printed}");
    assert!(lines[2].starts_with("ping 3: ") && lines[2].ends_with(" ms"));
    assert!(lines[3].starts_with("3 pings: min ") && lines[3].contains(" p50 "));
}

#[cfg(target_os = "linux")]
#[test]
fn memory_stays_flat_for_a_large_file() {
    use crate::process::sparse_file;
    let directory = TempDir::new().unwrap();
    let mut server = Server::start(&directory, &[]);
    let large = sparse_file(&directory, "large", 512 << 20);
    server.done(&["send", &large, "URL"]);
    server.process.wait_for("stored name=large");
    server.done(&["get", "URL", "large", "--out", "/dev/null"]);
    // The code itself, 10 MB of window, and what the allocator holds on to.
    let peak = server.process.peak_memory();
    assert!(peak < 100 << 10, "{peak} KiB");
}
