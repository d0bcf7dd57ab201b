//! Fields that are decoded when they are asked for.
//!
//! Their JSON is checked when the call is parsed, so that a call that is wrong is refused as a whole. Later
//! steps can rely on it.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use base64_simd::STANDARD;
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
        STANDARD.decode_to_vec(self.0.as_bytes()).map_err(|source| DecodeError::NotBase64 { source })
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
        source: base64_simd::Error,
    },
    /// The bytes of a certificate are not text, as PEM is.
    #[error("not text")]
    NotText {
        /// Where it is wrong.
        #[source]
        source: std::string::FromUtf8Error,
    },
}

/// How many headers there is room for at first: a client of the engine sends about five.
const HEADERS_EXPECTED: usize = 8;

/// HTTP headers. Absent headers are none.
#[derive(Clone, Default)]
pub struct Headers<'a> {
    /// In the order in which they came.
    entries: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Headers<'a> {
    /// The value of a header, whose name may be given in any case. Of several the last counts.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.entries.iter().rfind(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| &**value)
    }

    /// All headers, in the order in which they came: names in canonical spelling (`Content-Type`), and
    /// values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(name, value)| (&**name, &**value))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Headers<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_option(Entries(PhantomData))
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
        let bytes =
            STANDARD.decode_to_vec(self.0.as_bytes()).map_err(|source| DecodeError::NotBase64 { source })?;
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

/// Calls `visit` for each element of a JSON array of strings.
fn each_element<'a>(array: Option<&'a RawValue>, visit: impl FnMut(Cow<'a, str>)) -> serde_json::Result<()> {
    let Some(array) = array else { return Ok(()) };
    serde_json::Deserializer::from_str(array.get()).deserialize_seq(Elements(visit))
}

/// Headers, or `null`.
struct Entries<'a>(PhantomData<&'a str>);

impl<'de: 'a, 'a> Visitor<'de> for Entries<'a> {
    type Value = Headers<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_none<E: Error>(self) -> Result<Headers<'a>, E> {
        Ok(Headers::default())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Headers<'a>, D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers<'a>, A::Error> {
        let mut entries = Vec::with_capacity(HEADERS_EXPECTED);
        while let Some((key, value)) = map.next_entry::<Text<'a>, Text<'a>>()? {
            entries.push((key.into_cow(), value.into_cow()));
        }
        Ok(Headers { entries })
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

    fn headers(json: &str) -> Headers<'_> {
        serde_json::from_str(json).expect("the test writes headers")
    }

    #[test]
    fn a_header_is_found_in_any_case() {
        let headers = headers(r#"{"Content-Type":"application/json","X-Tool":"a\u003cb"}"#);

        assert_eq!(headers.get("content-TYPE"), Some("application/json"));
        assert_eq!(headers.get("x-tool"), Some("a<b"));
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
        let headers = headers(r#"{"X-Token":"secret"}"#);
        assert_eq!(format!("{headers:?}"), r#"{"X-Token"}"#);

        let body = EncodedBody::of(Some(Text("c2VjcmV0".into()))).expect("a body");
        assert_eq!(format!("{body:?}"), "EncodedBody(8 characters)");
    }
}
