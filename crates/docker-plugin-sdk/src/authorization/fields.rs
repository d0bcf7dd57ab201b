//! Fields that are decoded when they are asked for.
//!
//! Their JSON is checked when the call is parsed, so that a call that is wrong is refused as a whole. Later
//! steps can rely on it: what was checked once is found again.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// A body as it came: in base64.
#[derive(Clone)]
pub struct EncodedBody<'a>(Cow<'a, str>);

impl<'a> EncodedBody<'a> {
    /// An empty text is none: the engine leaves the field out when there is no body.
    pub(super) fn of(text: Option<Text<'a>>) -> Option<EncodedBody<'a>> {
        text.map(Text::into_cow).filter(|it| !it.is_empty()).map(EncodedBody)
    }

    /// The base64 text.
    pub fn as_base64(&self) -> &str {
        &self.0
    }

    /// The bytes of the body.
    ///
    /// # Errors
    ///
    /// When the text is not base64. No engine sends that, so a call with such a body is best denied.
    pub fn decode(&self) -> Result<Vec<u8>, DecodeError> {
        STANDARD.decode(self.0.as_bytes()).map_err(|source| DecodeError::NotBase64 { source })
    }
}

/// The size only: bodies hold secrets.
impl fmt::Debug for EncodedBody<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncodedBody({} characters)", self.0.len())
    }
}

/// Why a field cannot be decoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The text is not base64.
    #[error("not base64")]
    NotBase64 {
        /// Where it is wrong.
        #[source]
        source: base64::DecodeError,
    },
    /// The bytes of a certificate are not text, as PEM is.
    #[error("not text")]
    NotText {
        /// Where it is wrong.
        #[source]
        source: std::string::FromUtf8Error,
    },
}

/// HTTP headers, searched when they are asked for. Absent headers are none.
#[derive(Clone, Copy)]
pub struct Headers<'a> {
    /// `None` or a JSON object whose values are strings.
    object: Option<&'a RawValue>,
}

impl<'a> Headers<'a> {
    pub(super) fn of(object: Option<&'a RawValue>) -> serde_json::Result<Headers<'a>> {
        each_entry(object, |_, _| ())?;
        Ok(Headers { object })
    }

    /// The value of a header, whose name may be given in any case.
    pub fn get(&self, name: &str) -> Option<Cow<'a, str>> {
        let mut found = None;
        self.each(|key, value| {
            if key.eq_ignore_ascii_case(name) {
                found = Some(value);
            }
        });
        found
    }

    /// All headers, in the order in which they came: names in canonical spelling (`Content-Type`), and
    /// values.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> + use<'a> {
        let mut all = Vec::new();
        self.each(|name, value| all.push((name, value)));
        all.into_iter()
    }

    fn each(&self, visit: impl FnMut(Cow<'a, str>, Cow<'a, str>)) {
        each_entry(self.object, visit).expect("the headers were checked when the call was parsed");
    }
}

/// The names only: values may be credentials.
impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

/// The certificates that a client of the engine sent, decoded when they are asked for. Its own comes first.
#[derive(Clone, Copy)]
pub struct PeerCertificates<'a> {
    /// `None` or a JSON array of strings.
    array: Option<&'a RawValue>,
}

impl<'a> PeerCertificates<'a> {
    pub(super) fn of(array: Option<&'a RawValue>) -> serde_json::Result<PeerCertificates<'a>> {
        each_element(array, |_| ())?;
        Ok(PeerCertificates { array })
    }

    /// The certificates in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = EncodedCertificate<'a>> + use<'a> {
        let mut all = Vec::new();
        each_element(self.array, |text| all.push(EncodedCertificate(text)))
            .expect("the certificates were checked when the call was parsed");
        all.into_iter()
    }
}

impl fmt::Debug for PeerCertificates<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerCertificates({})", self.iter().count())
    }
}

/// A certificate as it came: PEM, in base64 once more.
#[derive(Debug, Clone)]
pub struct EncodedCertificate<'a>(Cow<'a, str>);

impl EncodedCertificate<'_> {
    /// The base64 text.
    pub fn as_base64(&self) -> &str {
        &self.0
    }

    /// The certificate in PEM, from `-----BEGIN CERTIFICATE-----` on.
    ///
    /// # Errors
    ///
    /// When the text is not base64, or its bytes are not text.
    pub fn pem(&self) -> Result<String, DecodeError> {
        let bytes = STANDARD.decode(self.0.as_bytes()).map_err(|source| DecodeError::NotBase64 { source })?;
        String::from_utf8(bytes).map_err(|source| DecodeError::NotText { source })
    }
}

/// A JSON string that is borrowed from its document unless it has escapes.
///
/// `Cow` alone would always be owned inside of an `Option`.
pub(super) struct Text<'a>(Cow<'a, str>);

impl<'a> Text<'a> {
    pub(super) fn into_cow(self) -> Cow<'a, str> {
        self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor(PhantomData))
    }
}

struct TextVisitor<'a>(PhantomData<&'a str>);

impl<'de: 'a, 'a> Visitor<'de> for TextVisitor<'a> {
    type Value = Text<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'a>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text<'a>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
}

/// Calls `visit` for each entry of a JSON object of strings.
fn each_entry<'a>(
    object: Option<&'a RawValue>,
    visit: impl FnMut(Cow<'a, str>, Cow<'a, str>),
) -> serde_json::Result<()> {
    let Some(object) = object else { return Ok(()) };
    serde_json::Deserializer::from_str(object.get()).deserialize_map(Entries(visit))
}

/// Calls `visit` for each element of a JSON array of strings.
fn each_element<'a>(array: Option<&'a RawValue>, visit: impl FnMut(Cow<'a, str>)) -> serde_json::Result<()> {
    let Some(array) = array else { return Ok(()) };
    serde_json::Deserializer::from_str(array.get()).deserialize_seq(Elements(visit))
}

struct Entries<F>(F);

impl<'de, F: FnMut(Cow<'de, str>, Cow<'de, str>)> Visitor<'de> for Entries<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((key, value)) = map.next_entry::<Text<'de>, Text<'de>>()? {
            (self.0)(key.into_cow(), value.into_cow());
        }
        Ok(())
    }
}

struct Elements<F>(F);

impl<'de, F: FnMut(Cow<'de, str>)> Visitor<'de> for Elements<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of strings")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<(), A::Error> {
        while let Some(element) = elements.next_element::<Text<'de>>()? {
            (self.0)(element.into_cow());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Option<&RawValue> {
        Some(serde_json::from_str(json).expect("the test writes JSON"))
    }

    #[test]
    fn a_header_is_found_in_any_case() {
        let headers = raw(r#"{"Content-Type":"application/json","X-Tool":"a\u003cb"}"#);
        let headers = Headers::of(headers).expect("headers");

        assert!(matches!(headers.get("content-TYPE"), Some(Cow::Borrowed("application/json"))));
        assert_eq!(headers.get("x-tool").as_deref(), Some("a<b"));
        assert_eq!(headers.get("Content"), None);
        let names: Vec<_> = headers.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["Content-Type", "X-Tool"]);
    }

    #[test]
    fn a_body_is_decoded_on_demand() {
        let body = EncodedBody::of(Some(Text("eyJhIjoxfQ==".into()))).expect("a body");
        assert_eq!(body.as_base64(), "eyJhIjoxfQ==");
        assert_eq!(body.decode().expect("base64"), br#"{"a":1}"#);

        let wrong = EncodedBody::of(Some(Text("{}".into()))).expect("a body, though a wrong one");
        assert!(matches!(wrong.decode(), Err(DecodeError::NotBase64 { .. })));
        assert!(EncodedBody::of(Some(Text("".into()))).is_none());
    }

    #[test]
    fn certificates_are_pem_in_base64() {
        let certificates = raw(r#"["LS0tLS1CRUdJTg==","/w=="]"#);
        let certificates: Vec<_> = PeerCertificates::of(certificates).expect("an array").iter().collect();

        assert_eq!(certificates[0].pem().expect("text"), "-----BEGIN");
        assert!(matches!(certificates[1].pem(), Err(DecodeError::NotText { .. })));
    }

    #[test]
    fn debug_output_shows_no_secrets() {
        let headers = raw(r#"{"X-Token":"secret"}"#);
        let headers = Headers::of(headers).expect("headers");
        assert_eq!(format!("{headers:?}"), r#"{"X-Token"}"#);

        let body = EncodedBody::of(Some(Text("c2VjcmV0".into()))).expect("a body");
        assert_eq!(format!("{body:?}"), "EncodedBody(8 characters)");
    }
}
