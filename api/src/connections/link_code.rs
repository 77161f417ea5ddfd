//! The code that links a phone, as clients show it. Whoever sees it can take the account: it is never cached or logged.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use qrcode::render::{svg, unicode};
use qrcode::types::QrError;
use qrcode::{Color, QrCode};
use relay::{LinkCode, LinkKind};
use serde::Serialize;
use utoipa::ToSchema;

use crate::openapi::schemas;

/// Pixels of the smallest side of a picture; one module is then large enough for any phone's camera.
const SIDE: u32 = 320;

/// Modules of white around a code, which scanners need (ISO 18004).
const QUIET: usize = 4;

/// A code, without a picture of it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LinkCode)]
pub struct LinkCodeView {
    /// How it links.
    #[schema(schema_with = schemas::link_kind)]
    pub kind: LinkKind,
    /// The text inside the QR code, or the pairing code.
    pub code: String,
    /// The how-manieth code since a phone was asked for.
    pub attempt: u32,
    /// When WhatsApp stops taking it.
    pub expires_at: Timestamp,
}

impl From<&LinkCode> for LinkCodeView {
    fn from(code: &LinkCode) -> Self {
        Self { kind: code.kind, code: code.code.clone(), attempt: code.attempt, expires_at: code.expires_at }
    }
}

/// The QR code as a `data:` URL of an SVG picture, for `<img src>`; nothing for a pairing code.
#[must_use]
pub fn data_url(code: &LinkCode) -> Option<String> {
    let picture = match code.kind {
        LinkKind::Qr => svg_picture(&code.code).ok()?,
        LinkKind::PairingCode => return None,
    };
    Some(format!("data:image/svg+xml;base64,{}", STANDARD.encode(picture)))
}

/// The QR code as SVG.
pub fn svg_picture(text: &str) -> Result<String, QrError> {
    let code = QrCode::new(text)?;
    Ok(code.render::<svg::Color<'_>>().min_dimensions(SIDE, SIDE).build())
}

/// The QR code for a terminal, two modules a character, dark on light whatever the terminal's colours are.
pub fn terminal_picture(text: &str) -> Result<String, QrError> {
    let code = QrCode::new(text)?;
    let picture = code.render::<unicode::Dense1x2>();
    // Block characters are painted in the foreground, which on most terminals is the light one.
    let mut picture = { picture }.dark_color(unicode::Dense1x2::Light).light_color(unicode::Dense1x2::Dark).build();
    picture.push('\n');
    Ok(picture)
}

/// How a PNG picture can fail to be made.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// The text does not fit into a QR code.
    #[error("QR code: {0}")]
    Code(#[from] QrError),
    /// The picture could not be encoded.
    #[error("PNG: {0}")]
    Png(#[from] png::EncodingError),
    /// It is larger than a PNG can be.
    #[error("PNG: {0}")]
    Size(#[from] std::num::TryFromIntError),
}

/// The QR code as PNG, one bit a pixel.
pub fn png_picture(text: &str) -> Result<Vec<u8>, PictureError> {
    let code = QrCode::new(text)?;
    let modules = code.width() + 2 * QUIET;
    let scale = usize::try_from(SIDE)?.div_ceil(modules);
    let side = modules * scale;
    let mut rows = Vec::with_capacity(side * side.div_ceil(8));
    for y in 0..side {
        for byte in 0..side.div_ceil(8) {
            let bits = (0..8).map(|bit| light(&code, (byte * 8 + bit) / scale, y / scale));
            rows.push(bits.fold(0_u8, |bits, light| (bits << 1) | u8::from(light)));
        }
    }
    let mut picture = Vec::new();
    let mut encoder = png::Encoder::new(&mut picture, u32::try_from(side)?, u32::try_from(side)?);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&rows)?;
    writer.finish()?;
    Ok(picture)
}

/// Whether the module at that place, quiet zone included, is light.
fn light(code: &QrCode, x: usize, y: usize) -> bool {
    let inside = |place: usize| place.checked_sub(QUIET).filter(|place| *place < code.width());
    match (inside(x), inside(y)) {
        (Some(x), Some(y)) => code[(x, y)] == Color::Light,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As long as WhatsApp's codes are.
    fn text() -> String {
        format!("2@{},{},{},{}", "a".repeat(88), "b".repeat(44), "c".repeat(44), "d".repeat(44))
    }

    #[test]
    fn every_picture_shows_the_same_modules() {
        let code = QrCode::new(text()).expect("fits");
        let picture = png_picture(&text()).expect("a picture");
        let mut reader = png::Decoder::new(std::io::Cursor::new(&picture)).read_info().expect("a PNG");
        let mut pixels = vec![0; reader.output_buffer_size().expect("small")];
        let info = reader.next_frame(&mut pixels).expect("one frame");
        let modules = code.width() + 2 * QUIET;
        let side = usize::try_from(info.width).expect("small");
        let scale = side / modules;
        for y in 0..modules {
            for x in 0..modules {
                let column = x * scale;
                let bit = pixels[y * scale * info.line_size + column / 8] >> (7 - column % 8) & 1;
                assert_eq!(bit == 1, light(&code, x, y), "module {x},{y}");
            }
        }
        assert!(svg_picture(&text()).expect("a picture").starts_with("<?xml"));
        assert!(terminal_picture(&text()).expect("a picture").lines().count() * 2 >= code.width());
    }
}
