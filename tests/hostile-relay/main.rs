//! A relay that its neighbours know and that does wrong: it passes sessions on, and on verified streams, in the order in which
//! they are opened, does to what the target answers what its `--trick`s say. For tests of those who have to find out.
//!
//! Once it can be reached it says `listening on <address> falcon-id <identity>`.

mod session;
mod trick;

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use clap::Parser;
use stoq_native::{
    ClientConfig, Connection, Endpoint, FalconId, FalconKey, Identity, Pins, ServerConfig, Target,
};

use trick::Trick;

/// What fails, fails the session or the start.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Parser)]
struct Arguments {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where sessions are passed on to, such as stoq://127.0.0.1:4433/
    #[arg(long)]
    target: Target,
    /// FALCON identity of the target
    #[arg(long)]
    target_id: FalconId,
    /// File of its own FALCON key
    #[arg(long)]
    key: PathBuf,
    /// What to do to the answer of the next verified stream: none, or change:N, forge:N, drop:N, repeat:N, cut:N, where N is the
    /// sequence of a token. Behind the last one all streams pass as they are
    #[arg(long = "trick")]
    tricks: Vec<Trick>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let key = Arc::new(FalconKey::from_pem_file(&arguments.key)?);
    let identity = || Identity::falcon(key.clone(), ["127.0.0.1"]);
    let mut config = ServerConfig::new(identity()?);
    config.framed_streams = true;
    let server = Endpoint::server(arguments.listen, config)?;
    let pins = Pins::new().pin(&arguments.target.authority(), arguments.target_id)?;
    let mut config = ClientConfig::new(pins);
    config.framed_streams = true;
    config.identity = Some(identity()?);
    let client = Endpoint::client(config)?;
    let target: Connection = client.connect_to(&arguments.target).await?;
    println!(
        "listening on {} falcon-id {}",
        server.local_addr()?,
        key.id()
    );
    let tricks: Arc<[Trick]> = arguments.tricks.into();
    let opened = Arc::new(AtomicUsize::new(0));
    while let Some(request) = server.accept().await {
        let (target, tricks, opened) = (target.clone(), tricks.clone(), opened.clone());
        tokio::spawn(async move {
            if let Err(error) = session::pass(request, &target, tricks, opened).await {
                eprintln!("hostile-relay: {error}");
            }
        });
    }
    Ok(())
}
