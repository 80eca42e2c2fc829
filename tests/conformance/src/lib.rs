//! What a session must do on every carrier: one body per behaviour, run natively, through the gateway, and
//! in real browsers through the npm package.
//!
//! The bodies know only the small [`Connect`] and [`Session`] traits and the [test services](services).
//! They compile for every target, wasm32 too, and never look at a clock.
#![allow(
    async_fn_in_trait,
    reason = "bodies run on one thread; no caller needs Send"
)]

mod closing;
mod datagrams;
mod messages;
mod refusals;
mod streams;

pub mod falcon_vectors;
pub mod services;

use stoq_core::close::Code;

/// A way to open sessions.
pub trait Connect {
    /// What it opens.
    type Session: Session;

    /// Asks for `service`.
    async fn connect(&self, service: &str) -> Result<Self::Session, Failure>;
}

/// A session under test.
pub trait Session {
    /// Sending half of a stream.
    type Send: SendHalf;
    /// Receiving half of a stream.
    type Recv: RecvHalf;

    /// Opens a bidirectional stream.
    async fn open_bi(&self) -> Result<(Self::Send, Self::Recv), Failure>;
    /// Opens a unidirectional stream.
    async fn open_uni(&self) -> Result<Self::Send, Failure>;
    /// The next bidirectional stream that the service opens.
    async fn accept_bi(&self) -> Result<(Self::Send, Self::Recv), Failure>;
    /// The next unidirectional stream that the service opens.
    async fn accept_uni(&self) -> Result<Self::Recv, Failure>;
    /// Sends one datagram.
    async fn send_datagram(&self, payload: &[u8]) -> Result<(), Failure>;
    /// The next datagram.
    async fn recv_datagram(&self) -> Result<Vec<u8>, Failure>;
    /// Largest datagram payload, in bytes.
    fn max_datagram_size(&self) -> usize;
    /// Sends one message in shards.
    async fn send_message(&self, message: &[u8]) -> Result<(), Failure>;
    /// The next message that is whole.
    async fn recv_message(&self) -> Result<Vec<u8>, Failure>;
    /// Largest message, in bytes.
    fn max_message_size(&self) -> usize;
    /// One in-band round trip.
    async fn ping(&self) -> Result<(), Failure>;
    /// Closes the session.
    async fn close(&self, code: Code, reason: &str);
    /// How the session ended.
    async fn closed(&self) -> (Code, String);
}

/// The sending half of a stream under test.
pub trait SendHalf {
    /// Writes all of `data`.
    async fn write(&mut self, data: &[u8]) -> Result<(), Failure>;
    /// Ends the stream.
    async fn finish(&mut self) -> Result<(), Failure>;
    /// Abandons the stream.
    async fn reset(&mut self, code: Code);
}

/// The receiving half of a stream under test.
pub trait RecvHalf {
    /// The next bytes, or `None` at the end of the stream.
    async fn read(&mut self) -> Result<Option<Vec<u8>>, Failure>;
    /// Asks the peer to stop sending.
    async fn stop(&mut self, code: Code);
}

/// What an operation failed with: the one number that is the same in Rust, JavaScript and the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure(pub Code);

/// Declares [`NAMES`] and [`run`] from one list.
macro_rules! behaviours {
    ($($module:ident :: $name:ident),* $(,)?) => {
        /// Every behaviour by name.
        pub const NAMES: &[&str] = &[$(stringify!($name)),*];

        /// Runs one behaviour. The error says what was expected and what came.
        pub async fn run<C: Connect>(name: &str, connect: &C) -> Result<(), String> {
            match name {
                $(stringify!($name) => $module::$name(connect).await,)*
                _ => Err(format!("no behaviour is called {name}")),
            }
        }
    };
}

behaviours! {
    streams::bytes_come_back_in_order,
    streams::half_close_leaves_the_other_half_open,
    streams::an_empty_stream_ends,
    streams::many_streams_at_once_keep_apart,
    streams::reset_codes_arrive,
    streams::reset_codes_reach_the_service,
    streams::large_reset_codes_reach_the_service,
    streams::stop_codes_arrive,
    streams::stop_codes_reach_the_service,
    streams::large_stop_codes_reach_the_service,
    streams::the_service_opens_streams,
    datagrams::datagrams_come_back,
    datagrams::too_large_a_datagram_is_refused_at_the_sender,
    messages::messages_come_back,
    messages::what_is_no_message_is_refused_at_the_sender,
    closing::ping_is_answered,
    closing::the_service_closes_with_code_and_reason,
    closing::we_close_with_code_and_reason,
    closing::streams_end_with_their_session,
    refusals::an_unknown_service_is_named,
    refusals::a_service_that_refuses_says_why,
}

/// `Ok` if both are equal, else what was expected.
fn expect<T: PartialEq + std::fmt::Debug>(what: &str, got: &T, wanted: &T) -> Result<(), String> {
    if got == wanted {
        return Ok(());
    }
    Err(format!("{what}: got {got:?}, wanted {wanted:?}"))
}

/// Names the step that failed.
fn step<T>(what: &str, result: Result<T, Failure>) -> Result<T, String> {
    result.map_err(|Failure(code)| format!("{what} failed with {code}"))
}

/// Everything up to the end of the stream.
async fn read_to_end<R: RecvHalf>(recv: &mut R) -> Result<Vec<u8>, Failure> {
    let mut all = Vec::new();
    while let Some(bytes) = recv.read().await? {
        all.extend_from_slice(&bytes);
    }
    Ok(all)
}
