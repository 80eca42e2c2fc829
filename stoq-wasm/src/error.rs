//! Errors, and what JavaScript makes of them.

use alloc::borrow::Cow;

use js_sys::{Array, Function, Reflect};
use stoq_core::Code;
use wasm_bindgen::prelude::*;

use crate::runtime::Global;
use crate::{js, word};

/// What every failing operation of the SDK fails with. JavaScript sees a `StoqError`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Error {
    code: Code,
    message: Cow<'static, str>,
    sequence: Option<u64>,
}

impl Error {
    pub(crate) fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            sequence: None,
        }
    }

    /// What is wrong begins with the data of this number.
    pub(crate) fn at(self, sequence: u64) -> Self {
        let sequence = Some(sequence);
        Self { sequence, ..self }
    }

    pub(crate) fn code(&self) -> Code {
        self.code
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The caller gave a value that cannot be used.
    pub(crate) fn argument(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::INVALID_ARGUMENT, message)
    }
}

impl From<Error> for JsValue {
    fn from(error: Error) -> Self {
        let word = Self::from_str(word(error.code));
        let number = Self::from(error.code.value());
        let message = Self::from_str(&error.message);
        let sequence = error.sequence.map_or(Self::UNDEFINED, js::number);
        ERROR_CLASS.with_borrow(|class| match class {
            Some(class) => {
                Reflect::construct(class, &Array::of4(&word, &number, &message, &sequence))
                    .unwrap_or_else(|thrown| thrown)
            }
            // Only a page that loads the bare module, without the package's loader, comes here.
            None => {
                let plain = js_sys::Error::new(&error.message);
                for (key, value) in [("code", word), ("number", number), ("sequence", sequence)] {
                    js::set(&plain, key, &value);
                }
                plain.into()
            }
        })
    }
}

/// Sets the class that errors are made of: called once, by the package's loader, with its `StoqError`.
///
/// The class is written in JavaScript because it extends `Error`, and given here rather than imported so that the
/// module can be used wherever its files lie.
#[wasm_bindgen(js_name = setErrorClass)]
pub fn set_error_class(class: Function) {
    ERROR_CLASS.set(Some(class));
}

static ERROR_CLASS: Global<Option<Function>> = Global::new(None);
