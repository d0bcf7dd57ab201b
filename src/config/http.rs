//! An `http` action: which server is asked, and how.
//!
//! The request is sent as it is written. Nothing of a container becomes part of its address or its
//! headers, as nothing of it becomes part of a command line: it is told in the body.

use std::sync::Arc;

use hyper::Uri;
use hyper::header::{HeaderName, HeaderValue};

use super::cleanup;
use super::hook::HookDraft;
use super::node::{Entry, Node, Value};
use super::report::{Report, Wrong, quoted};
use super::scalar;
use super::shape::{Preset, Shape};
use super::table::{Field, table};
use crate::hook::{Method, Request};
use crate::near::listed;

/// The words of `method`, the default first.
const METHODS: [(&str, Method); 2] = [("POST", Method::Post), ("PUT", Method::Put)];

/// Headers that are boathook's to say, or about the connection, in lower case.
const OURS: [&str; 12] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "idempotency-key",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

table! {
    /// `http`, as written.
    HttpDraft, "`http`" {
        /// Where the document is sent: `http://` or `https://`, a host, perhaps a port and a path.
        url: Shape::Matching("^https?://[^/@?#]+([/?][^#]*)?$"),
        /// The method of the request.
        method: Shape::Words(|| METHODS.map(|it| it.0).into()) => Preset::Text(METHODS[0].0),
        /// Headers beside those that boathook sends.
        headers: Shape::Mapping(&Shape::Text),
    }
    later {}
    synonyms { "address": "url", "uri": "url", "to": "url", "header": "headers", "verb": "method" }
    required { "url" }
}

/// The request that a hook sends, or `None` once everything wrong with it is in `report`.
pub(super) fn resolve(field: &Field, draft: &HookDraft, report: &mut Report) -> Option<Arc<Request>> {
    // Beside a program they are the program's: of two actions, which are the mistake, or of a clean-up.
    let alone = draft.exec.is_none() && draft.shell.is_none() && !cleanup::runs_a_program(draft);
    for idle in draft.of_a_process().filter(|_| alone) {
        let message = format!("`{}` means nothing for an `http`: no program runs", idle.key);
        report.push(idle.key_span.clone(), Wrong::new("no-effect", message).help("remove it"));
    }
    request(field, report)
}

/// The request that `field` describes, or `None` once everything wrong with it is in `report`.
pub(super) fn request(field: &Field, report: &mut Report) -> Option<Arc<Request>> {
    let http = HttpDraft::read(&field.value, report)?;
    let url = match &http.url {
        Some(it) => report.parse(it, url),
        None => {
            let wrong = Wrong::new("missing", "`http` does not say where to");
            report.missing(
                &http.outline,
                &["url"],
                wrong.help("write `url:` and an address: `http://127.0.0.1:9000/`"),
            );
            None
        }
    };
    let method = report.parse_or(http.method.as_ref(), METHODS[0].1, |it| scalar::one_of(it, &METHODS));
    let headers = http.headers.as_ref().map_or_else(|| Some(Vec::new()), |it| headers(it, report));
    http.outline.sound()?;
    Some(Arc::new(Request { url: url?, method: method?, headers: headers? }))
}

fn url(node: &Node) -> Result<String, Wrong> {
    let text = scalar::nonempty(node)?;
    let wrong = |message: &str| Wrong::new("url", message);
    let form = "write an address such as `http://127.0.0.1:9000/alert`";
    // Not repeated in a message where it may hold a password.
    let uri: Uri = match text.parse() {
        Ok(uri) => uri,
        Err(_) if text.contains('@') => return Err(wrong("is no address of a server").help(form)),
        Err(_) if !text.contains("://") => return Err(without_scheme(text)),
        Err(_) if text.contains(|c: char| c.is_whitespace() || !c.is_ascii()) => {
            let message = format!("cannot be {}", quoted(text));
            return Err(wrong(&message)
                .help("an address is ASCII: in a path a space is `%20`, and a host has an `xn--` form"));
        }
        Err(_) => return Err(wrong(&format!("cannot be {}", quoted(text))).help(form)),
    };
    let Some(authority) = uri.authority() else {
        return Err(wrong("does not say to which server").help(form));
    };
    match uri.scheme_str() {
        Some("http" | "https") => {}
        Some(scheme) => {
            let message = format!("cannot begin with {}", quoted(&format!("{scheme}://")));
            return Err(wrong(&message).help("write `http://` or `https://`"));
        }
        None => return Err(without_scheme(text)),
    }
    if authority.as_str().contains('@') {
        return Err(wrong("holds a user's name or password, which would be shown where addresses are")
            .help("write it in a header: `headers: {Authorization: \"Basic …\"}`"));
    }
    if text.contains('#') {
        return Err(wrong("has a part behind `#`, which is never sent").help("remove it"));
    }
    let rest = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
    if authority.host().is_empty() || (!rest.is_empty() && authority.port_u16().is_none_or(|it| it == 0)) {
        return Err(wrong("does not name a host, and perhaps a port from 1 to 65535").help(form));
    }
    Ok(text.to_owned())
}

fn without_scheme(text: &str) -> Wrong {
    Wrong::new("url", "does not say how to speak to the server").help(format!("write `http://{text}`"))
}

fn headers(field: &Field, report: &mut Report) -> Option<Vec<(String, String)>> {
    let Value::Map(entries) = &field.value.value else {
        report.parse(field, |node| {
            let message = format!("wants a table of names and values, this is {}", node.kind());
            Err::<(), _>(Wrong::new("type", message).help("write `headers: {Authorization: Bearer …}`"))
        });
        return None;
    };
    let read: Vec<Option<(String, String)>> = entries.iter().map(|it| header(it, report)).collect();
    read.into_iter().collect()
}

fn header(entry: &Entry, report: &mut Report) -> Option<(String, String)> {
    let name = entry.key.as_str();
    let lower = name.to_lowercase();
    let wrong = if OURS.contains(&lower.as_str()) {
        let wrong = Wrong::new("header", format!("the header {} is boathook's to send", quoted(name)));
        Some(wrong.help(format!("remove it; these are: {}", listed(OURS, "and"))))
    } else if HeaderName::from_bytes(name.as_bytes()).is_err() {
        let wrong = Wrong::new("header", format!("no header can be called {}", quoted(name)));
        Some(wrong.help("use letters, digits and `-`"))
    } else {
        None
    };
    let sound = wrong.is_none();
    wrong.into_iter().for_each(|it| report.push(entry.key_span.clone(), it));
    let value = report.parse_node(name, &entry.value, |node| {
        let text = scalar::text(node)?;
        // What it holds may be a secret.
        match HeaderValue::from_str(text) {
            Ok(_) => Ok(text.to_owned()),
            Err(_) => Err(Wrong::new(
                "header",
                "holds what no header can: a line break, or a letter that is not ASCII",
            )
            .help("write it in one line of ASCII characters")),
        }
    })?;
    sound.then(|| (name.to_owned(), value))
}
