//! Processes of the command: started, watched line by line, and ended with the test.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use stoq_native::{ClientConfig, Endpoint, Session, Trust};
use tempfile::TempDir;

/// How long a test waits before it says that what it waits for does not come.
const DEADLINE: Duration = Duration::from_secs(90);

/// A running `stoq`, killed on drop.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<(Source, String)>,
    stdout: String,
    stderr: String,
}

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

#[derive(Clone, Copy)]
enum Source {
    Stdout,
    Stderr,
}

impl Process {
    /// Starts `stoq` with these words, in `directory`.
    pub(crate) fn start(words: &[&str], directory: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_stoq"))
            .args(words)
            .current_dir(directory)
            .env("RUST_LOG", "stoq=trace")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        watch(child.stdout.take().unwrap(), Source::Stdout, sender.clone());
        watch(child.stderr.take().unwrap(), Source::Stderr, sender);
        let (stdout, stderr) = (String::new(), String::new());
        Self {
            child,
            lines,
            stdout,
            stderr,
        }
    }

    /// The next line that holds `text`.
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match self.next(deadline) {
                Some(line) if line.contains(text) => return line,
                Some(_) => {}
                None => panic!("ended without {text:?}\n{}{}", self.stdout, self.stderr),
            }
        }
    }

    /// Sends a signal by its name, such as TERM.
    #[cfg(unix)]
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status();
        assert!(status.unwrap().success());
    }

    /// Ends the process as `kill -9` does: it has no say in it.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for the end.
    pub(crate) fn end(mut self) -> Ended {
        let deadline = Instant::now() + DEADLINE;
        while self.next(deadline).is_some() {}
        // Both of its outputs have ended, and it is about to.
        let code = self.child.wait().unwrap().code();
        let stdout = core::mem::take(&mut self.stdout);
        let stderr = core::mem::take(&mut self.stderr);
        Ended {
            code,
            stdout,
            stderr,
        }
    }

    /// Resident memory at its highest so far, in KiB.
    #[cfg(target_os = "linux")]
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM:"))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    fn next(&mut self, deadline: Instant) -> Option<String> {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.lines.recv_timeout(left) {
            Ok((source, line)) => {
                let text = match source {
                    Source::Stdout => &mut self.stdout,
                    Source::Stderr => &mut self.stderr,
                };
                text.push_str(&line);
                text.push('\n');
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                panic!("nothing for {DEADLINE:?}\n{}{}", self.stdout, self.stderr)
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Errors say that it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn watch(output: impl Read + Send + 'static, source: Source, sender: Sender<(Source, String)>) {
    thread::spawn(move || {
        for line in BufReader::new(output).lines() {
            let Ok(line) = line else { return };
            if sender.send((source, line)).is_err() {
                return;
            }
        }
    });
}

/// A running `stoq serve`.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) address: String,
    /// Of the classical certificate.
    pub(crate) hash: String,
    /// Of the FALCON certificate, and whose it is.
    pub(crate) falcon: Option<(String, String)>,
    /// The store, beside which tests may put their own files.
    pub(crate) store: PathBuf,
}

impl Server {
    /// Serves `directory`/store on any free port, with these words more.
    pub(crate) fn start(directory: &TempDir, words: &[&str]) -> Self {
        Self::start_at("127.0.0.1:0", directory, words)
    }

    /// The same at another address.
    pub(crate) fn start_at(listen: &str, directory: &TempDir, words: &[&str]) -> Self {
        let store = directory.path().join("store");
        let serve = [
            "serve",
            "--dir",
            store.to_str().unwrap(),
            "--listen",
            listen,
        ];
        let mut process = Process::start(&[&serve, words].concat(), directory.path());
        let line = process.wait_for("listening on ");
        let words: Vec<_> = line.split(' ').collect();
        let [
            "listening",
            "on",
            address,
            "certificate-hash",
            hash,
            ref more @ ..,
        ] = words[..]
        else {
            panic!("{line}");
        };
        let falcon = match *more {
            [] => None,
            ["certificate-hash", hash, "falcon-id", id] => Some((hash.into(), id.into())),
            _ => panic!("{line}"),
        };
        let (address, hash) = (address.into(), hash.into());
        Self {
            process,
            address,
            hash,
            falcon,
            store,
        }
    }

    pub(crate) fn url(&self, service: &str) -> String {
        format!("stoq://{}/{service}", self.address)
    }

    /// Starts a client: the command, its words with `URL` for that of the service `files`, and the hash to trust.
    pub(crate) fn client(&self, words: &[&str]) -> Process {
        self.stranger(&[words, &["--certificate-hash", &self.hash]].concat())
    }

    /// Starts a client that trusts what its own words say.
    pub(crate) fn stranger(&self, words: &[&str]) -> Process {
        let url = self.url("files");
        let words = words
            .iter()
            .map(|word| if *word == "URL" { url.as_str() } else { word });
        let words: Vec<_> = words.collect();
        Process::start(&words, self.store.parent().unwrap())
    }

    /// Runs a client to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Ended {
        self.client(words).end()
    }

    /// Runs a client that must succeed; what it printed.
    pub(crate) fn done(&self, words: &[&str]) -> String {
        let ended = self.run(words);
        assert_eq!(ended.code, Some(0), "{words:?}: {ended:?}");
        ended.stdout
    }

    /// Runs a client that must fail; its exit code and complaint, which is one line.
    pub(crate) fn failed(&self, words: &[&str]) -> (i32, String) {
        self.run(words).complaint()
    }

    /// A session of the test's own.
    pub(crate) async fn connect(&self, service: &str) -> (Endpoint, Session) {
        let hash = (0..32).map(|i| u8::from_str_radix(&self.hash[2 * i..2 * i + 2], 16).unwrap());
        let hashes = vec![hash.collect::<Vec<_>>().try_into().unwrap()];
        let endpoint = Endpoint::client(ClientConfig::new(Trust::CertificateHashes(hashes)));
        let endpoint = endpoint.unwrap();
        let session = endpoint.connect(&self.url(service)).await.unwrap();
        (endpoint, session)
    }

    /// Fails if anything is stored, or under way.
    pub(crate) fn assert_empty(&self) {
        let entries = |directory: &Path| -> Vec<_> {
            let entries = std::fs::read_dir(directory).unwrap();
            entries.map(|entry| entry.unwrap().file_name()).collect()
        };
        assert_eq!(entries(&self.store), [".incoming"]);
        assert_eq!(entries(&self.store.join(".incoming")), ["lock"]);
        assert!(self.done(&["list", "URL"]).starts_with("0 files, 0 B of "));
    }
}

impl Ended {
    /// The exit code of a failure, and its one line.
    pub(crate) fn complaint(self) -> (i32, String) {
        let code = self.code.unwrap();
        assert!(code != 0 && self.stdout.is_empty(), "{self:?}");
        let mut complaints = self
            .stderr
            .lines()
            .filter(|line| line.starts_with("stoq: "));
        let complaint = complaints
            .next()
            .unwrap_or_else(|| panic!("{}", self.stderr));
        assert_eq!(complaints.next(), None);
        (code, complaint.into())
    }
}

/// A file with a length and no blocks: large to send, and quick to make.
pub(crate) fn sparse_file(directory: &TempDir, name: &str, length: u64) -> String {
    let path = directory.path().join(name);
    std::fs::File::create(&path)
        .unwrap()
        .set_len(length)
        .unwrap();
    path.to_str().unwrap().into()
}
