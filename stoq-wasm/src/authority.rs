//! Gateways by name: `host:port`, in the one spelling that endpoint records have.

use alloc::string::String;
use web_sys::Url;

/// The gateway that a page means by `host:port`, `host` (then the port is 443), or an origin `https://host:port`.
///
/// Lower case, international names in ASCII and addresses in their short form, as the URL standard spells them; `None` if it
/// is none of these.
pub(crate) fn parse(text: &str) -> Option<String> {
    let rest = text.strip_prefix("https://").unwrap_or(text);
    // The URL parser would take these as the end of the authority, as part of something else, or not see them at all.
    let strange = |char: char| {
        matches!(char, '/' | '\\' | '?' | '#' | '@') || char.is_whitespace() || char.is_control()
    };
    if rest.is_empty() || rest.ends_with(':') || rest.contains(strange) {
        return None;
    }
    let url = Url::new(&["https://", rest].concat()).ok()?;
    Some(of(&url))
}

/// The gateway that an `https:` URL leads to.
pub(crate) fn of(url: &Url) -> String {
    let port = url.port();
    let port = if port.is_empty() { HTTPS } else { &port };
    [&url.hostname(), ":", port].concat()
}

/// The port that URLs leave out.
const HTTPS: &str = "443";
