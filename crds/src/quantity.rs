//! Quantities as numbers. The API server rewrites them (`1024Mi` comes back as `1Gi`), so their texts cannot be compared.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

const SUFFIXES: [(&str, u128); 12] = [
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("Pi", 1 << 50),
    ("Ei", 1 << 60),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("P", 1_000_000_000_000_000),
    ("E", 1_000_000_000_000_000_000),
];

/// Bytes of a quantity, rounded down; nothing for a text that is none.
#[must_use]
pub fn bytes(quantity: &Quantity) -> Option<u128> {
    // The API server writes what is no whole number of bytes in thousandths of one.
    let (text, thousandth) = match quantity.0.strip_suffix('m') {
        Some(thousandths) => (thousandths, 1000),
        None => (quantity.0.as_str(), 1),
    };
    let (number, unit) = SUFFIXES
        .iter()
        .find_map(|(suffix, unit)| text.strip_suffix(suffix).map(|number| (number, *unit)))
        .unwrap_or((text, 1));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let places = u32::try_from(fraction.len()).ok()?;
    Some(digits.checked_mul(unit)? / 10_u128.checked_pow(places)?.checked_mul(thousandth)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_the_same_however_they_are_written() {
        let of = |text: &str| bytes(&Quantity(text.to_owned()));
        assert_eq!(of("1024Mi"), of("1Gi"));
        assert_eq!(of("1.5Gi"), of("1536Mi"));
        assert_eq!(of("1000"), of("1k"));
        assert_eq!(of("322122547200m"), of("0.3Gi"));
        assert_eq!(of("x"), None);
    }
}
