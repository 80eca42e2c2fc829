//! The demo: a native service, a gateway and the page, on this machine.

mod guarded;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use rustix::process::Signal;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::process::{cargo, command, line, output, run as run_to_end, signal};
use crate::setup::{Browser, find_browser};
use crate::workspace::target;
use crate::{sdk, site};
use guarded::Guarded;

/// What the demo is told.
#[derive(Args)]
pub(crate) struct Options {
    /// Keeps the files here (by default in the target folder)
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Serves the page on this port
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Builds the service and the gateway with optimisation: a longer build, a faster transfer
    #[arg(long)]
    release: bool,
}

/// Builds, starts, and watches until a signal comes or a part ends.
pub(crate) fn run(options: &Options) -> Result<()> {
    let folder = target().join("demo");
    let site = folder.join("site");
    site::stage(&site, &sdk::build(&sdk::Options::default())?)?;
    let programs = build_programs(options.release)?;
    let files = options.dir.clone().unwrap_or_else(|| folder.join("files"));
    fs::create_dir_all(&files)?;

    let (events, happened) = mpsc::channel();
    watch_signals(events.clone())?;
    let mut parts = Parts {
        events,
        happened,
        running: Vec::new(),
    };
    let service_key = folder.join("service.falcon.pem");
    let service_id = falcon_id(&programs, &service_key)?;
    let id = falcon_id(&programs, &folder.join(FALCON_KEY))?;
    // Service and gateway know each other: neither believes, or serves, anybody else.
    let mut service = command_of(
        &programs,
        "stoq",
        &[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--client",
            &id,
            "--falcon-key",
        ],
        &service_key,
    );
    service.arg("--dir").arg(&files);
    let [listening] = parts.start("service", service, ["listening on "])?;
    let guarded = guarded::start(&programs, &folder, &id, &mut parts)?;
    let config = folder.join("gateway.toml");
    fs::write(
        &config,
        gateway_config(&listening, &site, options.port, &guarded)?,
    )?;
    let [url, page, _] = parts.start(
        "gateway",
        command_of(&programs, "stoq-gateway", &["--config"], &config),
        ["https://", "http://", "stoq1"],
    )?;
    fs::write(site.join("pins.json"), pins(&url, &id)?)?;
    // Whose signature the page takes for that of the service: as with the pin, for the demo only it is the gateway that says so.
    let origins = serde_json::json!({ "files": [service_id] });
    fs::write(site.join("origins.json"), serde_json::to_string(&origins)?)?;

    fs::write(site.join("guarded.json"), guarded.for_page())?;

    println!(
        "\nA token for the guarded service, for the key that the page shows under Access:\n{} --holder stoqh1…",
        guarded.issue
    );
    println!(
        "\nOpen {page} in Chromium or Firefox. Files are kept in {}. Ctrl-C ends the demo.",
        files.display()
    );
    if [Browser::Chromium, Browser::Firefox]
        .into_iter()
        .all(|browser| find_browser(browser).is_none())
    {
        println!(
            "No browser with WebTransport was found here: install Chromium or Firefox (on Debian: `apt-get install chromium`)."
        );
    }
    parts.watch()
}

/// Builds the two programs and returns the folder they are in.
fn build_programs(release: bool) -> Result<PathBuf> {
    let packages = [
        "--package",
        "stoq-native",
        "--package",
        "stoq-gateway",
        "--features",
        "stoq-native/cli",
        "--bins",
    ];
    run_to_end(
        cargo(&["build"])
            .args(packages)
            .args(release.then_some("--release")),
    )?;
    Ok(target().join(if release { "release" } else { "debug" }))
}

fn command_of(
    programs: &Path,
    name: &str,
    arguments: &[&str],
    last: &Path,
) -> std::process::Command {
    let mut command = command(&programs.join(name).to_string_lossy(), arguments);
    command.arg(last);
    command
}

/// The identity of the gateway's key, which stays from one demo to the next, as a gateway's does.
fn falcon_id(programs: &Path, key: &Path) -> Result<String> {
    let verb = if key.exists() { "id" } else { "keygen" };
    let id = output(&mut command_of(programs, "stoq", &[verb], key))?;
    Ok(id.trim().to_owned())
}

/// Whom the page believes to be the gateway at `url`: `{ "host:port": ["stoq1…"] }`.
///
/// The page reads this file, and nothing that the gateway says of itself. In the demo the gateway serves the file, since it
/// serves the page; so the pin proves that the pieces fit together and no more. In production pins come with the page, and
/// the page comes from elsewhere: a gateway that serves its own pin can serve any.
fn pins(url: &str, id: &str) -> Result<String> {
    let authority = url
        .strip_prefix("https://")
        .with_context(|| format!("the gateway said `{url}`, which is no place to connect to"))?;
    Ok(serde_json::to_string(
        &serde_json::json!({ authority: [id] }),
    )?)
}

/// Settings of a gateway for the service that said `listening`, with the way to the guarded one.
fn gateway_config(listening: &str, site: &Path, port: u16, guarded: &Guarded) -> Result<String> {
    let (address, id) = address_and_id(listening)?;
    let route = |service: &str| {
        toml::Table::from_iter([
            ("service".to_owned(), service.into()),
            ("upstream".to_owned(), format!("stoq://{address}").into()),
            ("falcon".to_owned(), vec![id].into()),
        ])
    };
    let certificate = toml::Table::from_iter([(
        "names".to_owned(),
        vec!["localhost", "127.0.0.1", "::1"].into(),
    )]);
    let http = toml::Table::from_iter([
        ("listen".to_owned(), format!("127.0.0.1:{port}").into()),
        (
            "root".to_owned(),
            site.to_string_lossy().into_owned().into(),
        ),
    ]);
    let identity = toml::Table::from_iter([("falcon_key".to_owned(), FALCON_KEY.into())]);
    let next = toml::Table::from_iter([
        ("id".to_owned(), guarded.relay_id.as_str().into()),
        ("address".to_owned(), guarded.relay_address.as_str().into()),
    ]);
    let hops = toml::Table::from_iter([("next".to_owned(), vec![next].into())]);
    let config = toml::Table::from_iter([
        ("listen".to_owned(), "127.0.0.1:0".into()),
        ("certificate".to_owned(), certificate.into()),
        ("http".to_owned(), http.into()),
        ("identity".to_owned(), identity.into()),
        ("hops".to_owned(), hops.into()),
        (
            "route".to_owned(),
            vec![route("files"), route("echo")].into(),
        ),
    ]);
    Ok(toml::to_string(&config)?)
}

/// Where a program listens, and who it is, by what it says.
fn address_and_id(listening: &str) -> Result<(&str, &str)> {
    let words: Vec<&str> = listening.split(' ').collect();
    let ["listening", "on", address, .., "falcon-id", id] = words[..] else {
        bail!("it said `{listening}`, which names no address and identity");
    };
    Ok((address, id))
}

/// Beside the settings, which name it.
const FALCON_KEY: &str = "gateway.falcon.pem";

/// What ends the demo.
enum Event {
    Signal,
    Ended {
        part: &'static str,
        status: ExitStatus,
    },
}

/// The programs that run. When the demo ends, for whatever reason, they end.
struct Parts {
    events: Sender<Event>,
    happened: Receiver<Event>,
    running: Vec<(&'static str, u32)>,
}

impl Parts {
    /// Starts a program and returns, for each beginning, the next line of output that has it.
    fn start<const N: usize>(
        &mut self,
        part: &'static str,
        mut command: std::process::Command,
        beginnings: [&'static str; N],
    ) -> Result<[String; N]> {
        let shown = line(&command);
        eprintln!("$ {shown}");
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start `{shown}`"))?;
        self.running.push((part, child.id()));
        let (said, lines) = mpsc::channel();
        let events = self.events.clone();
        thread::spawn(move || follow(part, &mut child, &said, &events));
        let mut found = beginnings.map(|_| String::new());
        for (beginning, found) in beginnings.into_iter().zip(&mut found) {
            *found = lines
                .iter()
                .find(|line| line.starts_with(beginning))
                .with_context(|| format!("the {part} ended before it was ready"))?;
        }
        Ok(found)
    }

    /// Waits for a signal or the end of a part.
    fn watch(mut self) -> Result<()> {
        match self.happened.recv().expect("this side holds a sender too") {
            Event::Signal => Ok(()),
            Event::Ended { part, status } => {
                self.running.retain(|(running, _)| *running != part);
                bail!("the {part} ended: {status}")
            }
        }
    }
}

impl Drop for Parts {
    /// Asks every part to end, and insists where one does not.
    fn drop(&mut self) {
        for (insist, patience) in [
            (Signal::TERM, Duration::from_secs(5)),
            (Signal::KILL, Duration::from_secs(5)),
        ] {
            for (_, pid) in &self.running {
                signal(*pid, insist);
            }
            while !self.running.is_empty() {
                match self.happened.recv_timeout(patience) {
                    Ok(Event::Ended { part, .. }) => {
                        self.running.retain(|(running, _)| *running != part)
                    }
                    Ok(Event::Signal) => {}
                    Err(_) => break,
                }
            }
        }
    }
}

/// Shows what a program prints, up to its end.
fn follow(part: &'static str, child: &mut Child, said: &Sender<String>, events: &Sender<Event>) {
    let stdout = child.stdout.take().expect("the output was piped");
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        println!("{part}: {line}");
        // Nobody listens any more once the program is ready.
        let _ = said.send(line);
    }
    let status = child
        .wait()
        .expect("a child that was not waited for can be");
    let _ = events.send(Event::Ended { part, status });
}

/// A terminal's Ctrl-C reaches the programs too; a signal to this process alone does not.
fn watch_signals(events: Sender<Event>) -> Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    thread::spawn(move || {
        signals
            .forever()
            .try_for_each(|_| events.send(Event::Signal))
    });
    Ok(())
}
