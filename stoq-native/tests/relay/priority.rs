//! A stream that says how urgent it is.

use stoq_native::{Payload, RecvStream, SendStream, Session};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::chain::{Chain, TARGET, client, relay, target, until, within};

/// Channel id and PRIORITY.
fn opening(urgency: u8) -> Vec<u8> {
    let mut opening = vec![7; 16];
    opening.extend([2, 2, urgency, 0]);
    opening
}

#[tokio::test]
async fn an_urgency_is_what_was_set() {
    within(async {
        let chain = Chain::new(0);
        let (client, _target) = chain.session().await;
        let send = client.open_uni().await.unwrap();
        assert_eq!(send.priority(), 3);
        for (set, is) in [(0, 0), (7, 7), (200, 7), (3, 3)] {
            send.set_priority(set);
            assert_eq!(send.priority(), is);
        }
    })
    .await;
}

/// A runtime with one thread, which can be held still: then whoever is in it neither reads nor acknowledges.
pub(crate) struct Apart(Option<Runtime>);

impl Apart {
    pub(crate) fn new() -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        Self(Some(
            builder.worker_threads(1).enable_all().build().unwrap(),
        ))
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        self.0.as_ref().unwrap()
    }

    /// Until the sender is dropped.
    pub(crate) fn hold(&self) -> std::sync::mpsc::Sender<()> {
        let (release, held) = std::sync::mpsc::channel();
        let (begun, begins) = std::sync::mpsc::channel();
        self.runtime().spawn(async move {
            begun.send(()).unwrap();
            let _ = held.recv();
        });
        begins.recv().unwrap();
        release
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        self.0.take().unwrap().shutdown_background();
    }
}

/// How urgent a stream is, as its bytes say, once it has ended.
async fn urgency(mut stream: RecvStream) -> u8 {
    let all = stream.read_to_end(LENGTH).await.unwrap();
    assert_eq!(all.len(), LENGTH);
    all[18]
}

/// The halves to answer on, in the order in which streams end, and how urgent they are. Each is read as soon as it is there.
async fn order(session: Session, count: usize) -> Vec<(SendStream, u8)> {
    let (mut accepted, mut reading, mut ended) = (0, JoinSet::new(), Vec::new());
    while ended.len() < count {
        tokio::select! {
            Some(stream) = reading.join_next() => ended.push(stream.unwrap()),
            halves = session.accept_any_bi(), if accepted < count => {
                let (send, receive) = halves.unwrap();
                accepted += 1;
                reading.spawn(async move { (send, urgency(receive).await) });
            }
        }
    }
    ended
}

/// Of each stream.
const LENGTH: usize = 500_000;

/// All bytes wait in the relay, because the side that they go to is held still; then it can be seen which the relay sends first.
#[tokio::test]
async fn an_urgent_stream_overtakes_at_a_relay_in_both_directions() {
    within(async {
        let urgencies = [7, 6, 0, 5];
        let all = (LENGTH * urgencies.len()) as u64;
        let (here, there) = (Apart::new(), Apart::new());
        let target = {
            let _guard = there.runtime().enter();
            target(|_| {})
        };
        let relay = relay(1, &[(TARGET, target.local_addr().unwrap())], |_| {});
        let client = {
            let _guard = here.runtime().enter();
            client(&[(1, relay.local_addr())], |_| {})
        };
        let url = format!("stoq://{}/test", relay.local_addr());
        let accepting = there
            .runtime()
            .spawn(async move { target.accept().await.unwrap().accept().await.unwrap() });
        let near = here
            .runtime()
            .spawn(async move { client.connect(&url).await.unwrap() });
        let (near, far) = (near.await.unwrap(), accepting.await.unwrap());

        let release = there.hold();
        let mut answers = Vec::new();
        for urgency in urgencies {
            let (mut send, answer) = near.open_bi_with(Payload::Framed).await.unwrap();
            // The client's own priorities are all the same: what overtakes, overtakes at the relay.
            let mut bytes = opening(urgency);
            bytes.resize(LENGTH, urgency);
            send.write_all(&bytes).await.unwrap();
            send.finish().unwrap();
            answers.push(answer);
        }
        until(|| relay.stats().bytes_forward == all).await;
        drop(release);
        let ended = there.runtime().spawn(order(far, urgencies.len()));
        let ended = ended.await.unwrap();
        assert_eq!(ended[0].1, 0, "the urgent one came first");

        let release = here.hold();
        let mut backs = Vec::new();
        for (mut back, urgency) in ended {
            back.write_all(&opening(urgency)).await.unwrap();
            back.write_all(&vec![0; LENGTH - 20]).await.unwrap();
            back.finish().unwrap();
            backs.push(back);
        }
        until(|| relay.stats().bytes_back == all).await;
        drop(release);
        let first = here.runtime().spawn(async move {
            let mut reading: JoinSet<_> = answers.into_iter().map(urgency).collect();
            reading.join_next().await.unwrap().unwrap()
        });
        assert_eq!(first.await.unwrap(), 0, "the urgent one came first");
    })
    .await;
}

/// The relay has one connection to the target for both clients. What both have sent waits there, until the target reads.
#[tokio::test]
async fn an_urgent_stream_does_not_overtake_those_of_other_clients() {
    within(async {
        let there = Apart::new();
        let target = {
            let _guard = there.runtime().enter();
            target(|_| {})
        };
        let relay = relay(1, &[(TARGET, target.local_addr().unwrap())], |_| {});
        let client = client(&[(1, relay.local_addr())], |_| {});
        let url = format!("stoq://{}/test", relay.local_addr());
        let accepting = there.runtime().spawn(async move {
            let first = target.accept().await.unwrap().accept().await.unwrap();
            let second = target.accept().await.unwrap().accept().await.unwrap();
            (first, second)
        });
        let greedy = client.connect(&url).await.unwrap();
        let modest = client.connect(&url).await.unwrap();
        let (first, second) = accepting.await.unwrap();
        assert_eq!(relay.stats().next_hop_connections, 1);

        let release = there.hold();
        // The urgent one is four times as long: only if it is sent first does it end first.
        let mut sends = Vec::new();
        for (session, urgency, length) in [(&modest, 3, LENGTH / 4), (&greedy, 0, LENGTH)] {
            let mut send = session.open_uni_with(Payload::Framed).await.unwrap();
            let mut bytes = opening(urgency);
            bytes.resize(length, urgency);
            send.write_all(&bytes).await.unwrap();
            send.finish().unwrap();
            sends.push(send);
        }
        let all = (LENGTH + LENGTH / 4) as u64;
        until(|| relay.stats().bytes_forward == all).await;
        drop(release);
        let ended_first = there.runtime().spawn(async move {
            let length = async |session: Session| {
                let mut stream = session.accept_any_uni().await.unwrap();
                stream.read_to_end(LENGTH).await.unwrap().len()
            };
            tokio::select! {
                length = length(first) => length,
                length = length(second) => length,
            }
        });
        assert_eq!(ended_first.await.unwrap(), LENGTH / 4, "the modest one");
    })
    .await;
}
