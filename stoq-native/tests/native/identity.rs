//! Who a peer is, and whether it is believed: every policy against every kind of peer, good and bad ones, and against
//! somebody with a quantum computer.
//!
//! All of it over real sockets and with real keys. Peers that do wrong are built with rustls and quinn directly.

mod attacker;
mod certificates;
mod clients;
mod counting;
mod key_exchange;
mod malformed;
mod parameter;
mod resumption;
mod retry;
mod revocation;
mod rigged;
mod rogue;
mod roots;
mod security;
mod servers;
mod table;
mod tap;
