//! Sessions that do not come to be.

use stoq_core::close::Code;

use crate::services::{REFUSAL, REFUSE, UNKNOWN};
use crate::{Connect, Failure, expect};

pub(crate) async fn an_unknown_service_is_named<C: Connect>(connect: &C) -> Result<(), String> {
    let refused = connect.connect(UNKNOWN).await.err();
    expect("connect", &refused, &Some(Failure(Code::UNKNOWN_SERVICE)))
}

pub(crate) async fn a_service_that_refuses_says_why<C: Connect>(connect: &C) -> Result<(), String> {
    let refused = connect.connect(REFUSE).await.err();
    expect("connect", &refused, &Some(Failure(REFUSAL.0)))
}
