//! Short names between the module and the JavaScript that loads it: those that wasm-bindgen gives are a fiftieth of the package.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// Writes `script` anew with the names that wasm-opt says it has given (`--minify-imports-and-exports-and-modules`).
///
/// # Errors
/// If `said` is no such list, or a name of it does not stand where wasm-bindgen puts it.
pub(crate) fn rename(script: &str, said: &str) -> Result<String> {
    let start = said.find('{').context("wasm-opt names what it renames")?;
    let said: Value = serde_json::from_str(&said[start..])?;
    let mut script = script.to_owned();
    let text = |value: &Value| value.as_str().map(str::to_owned).context("names are text");
    for import in list(&said, "imports")? {
        let (module, name, short) = (text(&import[0])?, text(&import[1])?, text(&import[2])?);
        let from = format!("\"{module}\": import0");
        if script.contains(&from) {
            script = script.replace(&from, &format!("\"{MODULE}\": import0"));
        }
        script = once(
            &script,
            &format!("\n        {name}: "),
            &format!("\n        {short}: "),
        )?;
    }
    if !script.contains(&format!("\"{MODULE}\": import0")) {
        bail!("the script gives its imports in another way than before");
    }
    let mut exports = BTreeMap::new();
    for export in list(&said, "exports")? {
        exports.insert(text(&export[0])?, text(&export[1])?);
    }
    members(&script, &exports)
}

fn list<'a>(said: &'a Value, what: &str) -> Result<&'a Vec<Value>> {
    let list = said[what].as_array();
    list.with_context(|| format!("wasm-opt lists the {what}"))
}

fn once(script: &str, from: &str, to: &str) -> Result<String> {
    match script.matches(from).count() {
        1 => Ok(script.replace(from, to)),
        found => bail!("`{}` stands {found} times in the script", from.trim()),
    }
}

/// `wasm.name` becomes `wasm.short`.
fn members(script: &str, exports: &BTreeMap<String, String>) -> Result<String> {
    let goes_on = |next: char| next.is_ascii_alphanumeric() || "_$".contains(next);
    let mut parts = script.split("wasm.");
    let mut renamed = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        // The name of a file ends in the same way.
        if renamed.ends_with(goes_on) {
            renamed = renamed + "wasm." + part;
            continue;
        }
        let end = part.find(|next| !goes_on(next)).unwrap_or(part.len());
        let (name, rest) = part.split_at(end);
        let short = exports.get(name);
        let short = short.with_context(|| format!("the module has no `{name}`"))?;
        renamed = renamed + "wasm." + short + rest;
    }
    Ok(renamed)
}

/// What wasm-opt calls the one module that ours imports from.
const MODULE: &str = "a";

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "/* m_wasm.d.ts */ const import0 = {\n        __wbg_now_1: function() {},\n    };\n    return { \"./m.js\": import0 };\n\
        wasm.close(); wasm.close_all(); wasm.memory.buffer; close();";

    #[test]
    fn names_are_replaced_where_they_stand() {
        let said = r#"{ "imports": [["./m.js", "__wbg_now_1", "b"]], "exports": [["close", "c"], ["close_all", "d"], ["memory", "e"]] }"#;
        let renamed = rename(SCRIPT, said).unwrap();
        assert!(renamed.contains("\n        b: function"));
        assert!(renamed.contains("\"a\": import0"));
        assert!(renamed.ends_with("wasm.c(); wasm.d(); wasm.e.buffer; close();"));
    }

    #[test]
    fn a_name_that_is_not_there_is_an_error() {
        let exports = r#"[["close", "c"], ["close_all", "d"], ["memory", "e"]]"#;
        for said in [
            format!(r#"{{ "imports": [["./m.js", "__wbg_then_2", "b"]], "exports": {exports} }}"#)
                .as_str(),
            r#"{ "imports": [["./m.js", "__wbg_now_1", "b"]], "exports": [["close", "c"]] }"#,
            format!(r#"{{ "imports": [], "exports": {exports} }}"#).as_str(),
            "nothing",
        ] {
            assert!(rename(SCRIPT, said).is_err(), "{said}");
        }
    }
}
