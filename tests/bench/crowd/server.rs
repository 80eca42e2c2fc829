//! The server's process, and the handle that its parent has of it.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child as Process, ChildStdin, ChildStdout, Command, Stdio};

use stoq_native::{Endpoint, Identity, ServerConfig, SessionRequest};
use tokio::runtime::Runtime;

use crate::sample::Sample;
use crate::{Options, Result};

/// Serves until its standard input ends, and answers what it is asked there.
pub(crate) fn run(runtime: &Runtime, options: Options) -> Result<()> {
    let identity = Identity::self_signed(["localhost", "127.0.0.1"])?;
    let hash = identity.certificate_hash();
    let mut config = ServerConfig::new(identity);
    config.max_connections = config
        .max_connections
        .max(options.connections as usize + SPARE);
    let endpoint = {
        let _within = runtime.enter();
        Endpoint::server("127.0.0.1:0".parse()?, config)?
    };
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    println!("{} {hash}", endpoint.local_addr()?);
    runtime.spawn(serve(endpoint.clone()));
    for question in std::io::stdin().lines() {
        match question?.as_str() {
            "sample" => println!("{}", Sample::take(runtime.handle(), &endpoint)?),
            _ => {
                let stats = endpoint.stats();
                println!(
                    "{} handshakes answered with a Retry, {} turned away, {} failed",
                    stats.retries, stats.handshakes_refused, stats.handshakes_failed
                );
            }
        }
    }
    Ok(())
}

async fn serve(endpoint: Endpoint) {
    while let Some(request) = endpoint.accept().await {
        tokio::spawn(session(request));
    }
}

async fn session(request: SessionRequest) {
    let Ok(session) = request.accept().await else {
        return;
    };
    while let Ok((mut send, mut receive)) = session.accept_bi().await {
        tokio::spawn(async move {
            while let Ok(Some(bytes)) = receive.read_chunk(4096).await {
                if send.write_chunk(bytes).await.is_err() {
                    return;
                }
            }
            // An error says that the client has gone.
            let _ = send.finish();
        });
    }
}

/// The process that serves. Ends when dropped.
pub(crate) struct Child {
    process: Process,
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    pub(crate) address: String,
    pub(crate) certificate_hash: [u8; 32],
}

impl Child {
    pub(crate) fn start(options: Options) -> Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["--serve", "--connections", &options.connections.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let questions = process.stdin.take().ok_or("it is piped")?;
        let mut answers = BufReader::new(process.stdout.take().ok_or("it is piped")?).lines();
        let line = answers.next().ok_or("the server ended")??;
        let (address, hash) = line.split_once(' ').ok_or("address and hash")?;
        let byte = |at: usize| u8::from_str_radix(hash.get(at..at + 2).unwrap_or_default(), 16);
        let mut certificate_hash = [0; 32];
        for (at, value) in certificate_hash.iter_mut().enumerate() {
            *value = byte(2 * at)?;
        }
        Ok(Self {
            process,
            questions,
            answers,
            address: address.to_owned(),
            certificate_hash,
        })
    }

    pub(crate) fn sample(&mut self) -> Result<Sample> {
        self.ask("sample")?.parse()
    }

    /// What became of the handshakes, in its own words.
    pub(crate) fn said(&mut self) -> Result<String> {
        self.ask("handshakes")
    }

    fn ask(&mut self, question: &str) -> Result<String> {
        writeln!(self.questions, "{question}")?;
        Ok(self.answers.next().ok_or("the server ended")??)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Errors say that it has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Connections that close while the next crowd comes.
const SPARE: usize = 1024;
