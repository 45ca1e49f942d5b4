//! What is known of a person besides who they are: values of outside standards, each in one form.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::{Invalid, label::Labels, text::is_plain};

macro_rules! value {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The value as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

value!(
    /// A telephone number as in ITU-T E.164: `+` and at most 15 digits, the first not 0.
    Phone
);
value!(
    /// A language and perhaps a region: a BCP 47 tag in its canonical form, such as `de-CH`.
    Locale
);
value!(
    /// A time zone's name in the IANA database, such as `Europe/Zurich`.
    TimeZone
);
value!(
    /// A country's two letters in ISO 3166-1, such as `CH`.
    Country
);
value!(
    /// The person's id in a system of the caller's: 1 to 255 visible characters.
    ExternalId
);

impl Phone {
    /// Takes the number with the white space, hyphens, dots and parentheses that people put between digits.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let number: String = text.chars().filter(|c| !c.is_whitespace() && !"-.()".contains(*c)).collect();
        let digits = number.strip_prefix('+').unwrap_or_default();
        let good =
            (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
        if good {
            Ok(Self(number))
        } else {
            Err(Invalid::new("must be a number in the form of E.164, such as +41441234567"))
        }
    }
}

impl Locale {
    /// Takes a well-formed tag, in any case.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let locale: Result<icu_locale_core::Locale, _> = text.parse();
        match locale {
            Ok(locale) if text.len() <= 64 => Ok(Self(locale.to_string())),
            _ => Err(Invalid::new("must be a BCP 47 language tag, such as de-CH")),
        }
    }
}

impl TimeZone {
    /// Takes a name as the database has it.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let zone: Result<chrono_tz::Tz, _> = text.parse();
        match zone {
            Ok(zone) => Ok(Self(zone.name().to_owned())),
            Err(_) => Err(Invalid::new("must be a name of the IANA time zone database, such as Europe/Zurich")),
        }
    }
}

impl Country {
    /// Takes the two letters in any case.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let code = text.to_ascii_uppercase();
        match rust_iso3166::from_alpha2(&code) {
            Some(country) => Ok(Self(country.alpha2.to_owned())),
            None => Err(Invalid::new("must be the two letters of a country in ISO 3166-1, such as CH")),
        }
    }
}

impl ExternalId {
    /// Takes the id as it is.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if (1..=255).contains(&text.chars().count()) && is_plain(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new("must be 1 to 255 characters, without control or direction characters"))
        }
    }
}

/// What a person wants to be told in the application. Roster keeps it; the application does the telling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notifications {
    /// Whether the desktop shows notifications.
    pub desktop: bool,
    /// Whether the browser shows a badge.
    pub badges: bool,
    /// Whether there is a sound.
    pub sounds: bool,
    /// The application's own settings.
    pub custom: Labels,
}

impl Default for Notifications {
    /// All on.
    fn default() -> Self {
        Self { desktop: true, badges: true, sounds: true, custom: Labels::default() }
    }
}

impl Notifications {
    /// The application's own settings: at most 64, keys of 1 to 63 characters, values of at most 255.
    pub fn custom(map: BTreeMap<String, String>) -> Result<Labels, Invalid> {
        Labels::team(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_one_form() {
        assert_eq!(Phone::parse("+41 (44) 123-45.67").unwrap().as_str(), "+41441234567");
        assert_eq!(Locale::parse("DE-ch").unwrap().as_str(), "de-CH");
        assert_eq!(TimeZone::parse("Europe/Zurich").unwrap().as_str(), "Europe/Zurich");
        assert_eq!(Country::parse("ch").unwrap().as_str(), "CH");
        assert_eq!(ExternalId::parse("crm:17").unwrap().as_str(), "crm:17");
    }

    #[test]
    fn what_no_standard_knows_is_refused() {
        for bad in ["", "0441234567", "+0441234567", "+123", "+1234567890123456", "+41x", "41441234567"] {
            assert!(Phone::parse(bad).is_err(), "{bad}");
        }
        for bad in ["", "x", "de_", "german", "de-CH-"] {
            assert!(Locale::parse(bad).is_err(), "{bad}");
        }
        for bad in ["", "Zurich", "europe/zurich", "UTC+1"] {
            assert!(TimeZone::parse(bad).is_err(), "{bad}");
        }
        for bad in ["", "C", "XX", "CHE", "41"] {
            assert!(Country::parse(bad).is_err(), "{bad}");
        }
        for bad in ["", "a\u{202E}b", "a\nb", &"x".repeat(256)] {
            assert!(ExternalId::parse(bad).is_err(), "{bad}");
        }
    }
}
