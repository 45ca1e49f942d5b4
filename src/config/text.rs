//! Values that are text in the configuration and a type of their own in the program: parsed by
//! `FromStr`, printed by `Display` (which masks what is secret).

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// For `#[serde(with = "Text")]`: a value that is text in the file.
pub(super) struct Text;

impl Text {
    pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }

    pub(super) fn serialize<T: Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }
}

/// The same for a value that may be absent.
pub(super) struct OptionalText;

impl OptionalText {
    pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse()).transpose().map_err(D::Error::custom)
    }

    #[expect(clippy::ref_option, reason = "the signature that serde asks for")]
    pub(super) fn serialize<T: Display, S: Serializer>(value: &Option<T>, to: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => to.collect_str(value),
            None => to.serialize_none(),
        }
    }
}

/// The same for durations: `"500ms"`, `"14days"`.
pub(super) struct HumanTime;

impl HumanTime {
    pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        humantime_serde::Serde<T>: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        humantime_serde::deserialize(deserializer)
    }

    pub(super) fn serialize<T, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error>
    where
        for<'a> humantime_serde::Serde<&'a T>: Serialize,
    {
        humantime_serde::serialize(value, to)
    }
}

/// The same for a secret that may be absent. Printing masks it.
pub(super) struct OptionalSecret;

impl OptionalSecret {
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
        Option::deserialize(deserializer)
    }

    #[expect(clippy::ref_option, reason = "the signature that serde asks for")]
    pub(super) fn serialize<S: Serializer>(_: &Option<SecretString>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(MASK)
    }
}

/// Tells schemars that what these stand for is text in the file.
macro_rules! is_text {
    ($($name:ident)*) => {$(
        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                String::schema_name()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                String::json_schema(generator)
            }
        }
    )*};
}

is_text!(Text OptionalText HumanTime OptionalSecret);

/// Why a text was refused. Never repeats it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidText(pub(super) &'static str);

/// What stands for a secret in anything printed.
pub(super) const MASK: &str = "***";

/// Whether a text can be a name for people: 1 to 100 characters, none of them a line break or another control character.
pub(super) fn is_line(text: &str) -> bool {
    (1..=100).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}
