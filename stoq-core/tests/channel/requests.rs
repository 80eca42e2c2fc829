//! Answers to other questions than were asked.

use stoq_core::channel::{ChannelError, CutShort, Delivery, Item, Received, Sent};

use crate::number;
use crate::wire::{Channel, ORIGIN, data, opener, read, scope, verified};

/// An answer in two runs: the first to one question, the second to all.
fn answer(questions: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut channel = Channel::new(scope(), Some(&ORIGIN));
    channel.received = heard(&questions[..1]);
    channel.send(b"yes");
    channel.send(b", indeed");
    channel.close();
    // What comes while a run grows is what the run answers: it may have had a part in it.
    channel.send(b"no");
    channel.received = heard(questions);
    channel.finish();
    channel.frames
}

fn heard(questions: &[&[u8]]) -> Received {
    let mut received = Received::default();
    questions
        .iter()
        .for_each(|question| received.note(question));
    received
}

fn asked(questions: &[&[u8]]) -> Sent {
    let mut sent = Sent::default();
    questions.iter().for_each(|question| sent.note(question));
    sent
}

fn ask(questions: &[&[u8]], answer: &[Vec<u8>]) -> (u64, Result<(), ChannelError>) {
    let mut sent = asked(questions);
    let (items, end) = read(opener(Delivery::Pending), &mut sent, answer);
    (verified(&items), end)
}

#[test]
fn the_answer_to_what_was_asked_is_taken() {
    let questions = [&b"is it"[..], b"was it"];
    assert_eq!(ask(&questions, &answer(&questions)), (3, Ok(())));
    // More was asked meanwhile.
    let more = [&b"is it"[..], b"was it", b"will it"];
    assert_eq!(ask(&more, &answer(&questions)), (3, Ok(())));
}

#[test]
fn the_answer_to_another_question_is_refused() {
    let frames = answer(&[b"is it", b"was it"]);
    let (sequence, last) = (number(0), number(1));
    let bad = ChannelError::BadSignature { sequence, last };
    assert_eq!(ask(&[b"isn't it", b"was it"], &frames), (0, Err(bad)));
    let (sequence, last) = (number(2), number(2));
    let bad = ChannelError::BadSignature { sequence, last };
    assert_eq!(ask(&[b"is it", b"wasn't it"], &frames), (2, Err(bad)));
}

#[test]
fn the_answer_to_more_than_was_asked_is_refused() {
    let frames = answer(&[b"is it", b"was it"]);
    let (sequence, request) = (number(2), number(2));
    let wrong = ChannelError::WrongRequest { sequence, request };
    assert_eq!(ask(&[b"is it"], &frames), (2, Err(wrong)));
    let (sequence, request) = (number(0), number(1));
    let wrong = ChannelError::WrongRequest { sequence, request };
    assert_eq!(ask(&[], &frames), (0, Err(wrong)));
}

#[test]
fn a_relay_that_changes_the_second_of_two_pipelined_questions_is_found_out() {
    // One run has both answers, and began when only the first question had come.
    let mut channel = Channel::new(scope(), Some(&ORIGIN));
    channel.received = heard(&[b"is it"]);
    channel.send(b"yes");
    channel.received = heard(&[b"is it", b"may it"]);
    channel.send(b"it may");
    channel.close();
    channel.finish();
    let bad = ChannelError::BadSignature {
        sequence: number(0),
        last: number(1),
    };
    let asked: [&[u8]; 2] = [b"is it", b"must it"];
    assert_eq!(ask(&asked, &channel.frames), (0, Err(bad)));
    let asked: [&[u8]; 2] = [b"is it", b"may it"];
    assert_eq!(ask(&asked, &channel.frames), (3, Ok(())));
}

#[test]
fn a_greeting_from_before_the_question_is_bound_to_it() {
    let mut channel = Channel::new(scope(), Some(&ORIGIN));
    channel.send(b"hello");
    channel.received = heard(&[b"delete all"]);
    channel.send(b"done");
    channel.finish();
    let bad = ChannelError::BadSignature {
        sequence: number(0),
        last: number(1),
    };
    let asked: &[&[u8]] = &[b"delete none"];
    assert_eq!(ask(asked, &channel.frames), (0, Err(bad)));
}

#[test]
fn the_last_answer_to_a_part_of_what_was_asked_and_ended_is_refused() {
    let questions: [&[u8]; 2] = [b"delete all", b" except this"];
    // A relay has passed the first frame and ended the question behind it.
    let mut channel = Channel::new(scope(), Some(&ORIGIN));
    channel.received = heard(&questions[..1]);
    channel.send(b"deleted");
    channel.finish();
    let mut sent = asked(&questions);
    assert_eq!(sent.end(), Ok(()));
    let (sequence, request) = (number(0), number(1));
    let wrong = ChannelError::WrongRequest { sequence, request };
    let (items, end) = read(opener(Delivery::Verified), &mut sent, &channel.frames);
    assert_eq!((data(&items), end), (Vec::new(), Err(wrong)));
    // The end of the answer may also come first.
    let mut sent = asked(&questions);
    let (items, end) = read(opener(Delivery::Verified), &mut sent, &channel.frames);
    assert_eq!((verified(&items), end), (1, Ok(())));
    let (answered, all) = (1, 2);
    assert_eq!(
        sent.end(),
        Err(CutShort {
            answered,
            sent: all
        })
    );
}

#[test]
fn no_answer_at_all_to_what_was_asked_and_ended_is_refused() {
    let mut sent = asked(&[b"question"]);
    assert_eq!(sent.end(), Ok(()));
    let frames = Channel::of_three_runs(scope(), &ORIGIN).frames;
    let (sequence, request) = (number(4), number(0));
    let wrong = ChannelError::WrongRequest { sequence, request };
    let (items, end) = read(opener(Delivery::Pending), &mut sent, &frames);
    assert_eq!(
        (verified(&items), end),
        (4, Err(wrong)),
        "only the last must"
    );
}

#[test]
fn each_word_says_how_much_it_answers() {
    let questions: [&[u8]; 2] = [b"is it", b"was it"];
    let mut sent = asked(&questions);
    let (items, end) = read(opener(Delivery::Pending), &mut sent, &answer(&questions));
    assert_eq!(end, Ok(()));
    let words = items.iter().filter_map(|item| match item {
        Item::Verified {
            answers,
            answers_all,
            ..
        } => Some((answers.into_inner(), *answers_all)),
        _ => None,
    });
    assert_eq!(Vec::from_iter(words), [(1, false), (2, true)]);
    assert_eq!(sent.end(), Ok(()), "all was answered");
}

#[test]
fn an_answer_does_not_go_back_to_an_earlier_question() {
    let mut channel = Channel::new(scope(), Some(&ORIGIN));
    let questions = [&b"is it"[..], b"was it"];
    channel.received = heard(&questions);
    channel.send(b"yes");
    channel.close();
    channel.received = heard(&questions[..1]);
    channel.send(b"no");
    channel.finish();
    let (sequence, request) = (number(1), number(1));
    let wrong = ChannelError::WrongRequest { sequence, request };
    assert_eq!(ask(&questions, &channel.frames), (1, Err(wrong)));
}

#[test]
fn who_speaks_first_answers_nothing() {
    let frames = Channel::of_three_runs(scope(), &ORIGIN).frames;
    assert_eq!(ask(&[], &frames), (6, Ok(())));
    assert_eq!(
        ask(&[&b"asked, and not heard yet"[..]; 2000], &frames),
        (6, Ok(()))
    );
}
