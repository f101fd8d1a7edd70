//! QR codes, as SVG: drawn by the person's own browser, and small.

use std::fmt::Write;

use fast_qr::{ECL, QRBuilder};

use super::Page;

/// White around the code, in modules, as readers want it.
const MARGIN: usize = 4;

/// The code of a text; `None` if it is too long for one (some 2,300 bytes).
#[must_use]
pub fn svg(text: &str) -> Option<Page> {
    Some(Page::new(200, "image/svg+xml", "default-src 'none'", draw(text, ECL::M)?))
}

/// The same as the text of a file, with this much redundancy.
#[must_use]
pub fn draw(text: &str, level: ECL) -> Option<String> {
    let code = QRBuilder::new(text).ecl(level).build().ok()?;
    let size = code.size;
    let mut path = String::new();
    for row in 0..size {
        let mut column = 0;
        while column < size {
            let dark = (column..size).take_while(|at| code[row][*at].value()).count();
            if dark > 0 {
                let (x, y) = (column + MARGIN, row + MARGIN);
                // Writing to a string cannot fail.
                let _ = write!(path, "M{x} {y}h{dark}v1h-{dark}z");
            }
            column += dark.max(1);
        }
    }
    let whole = size + 2 * MARGIN;
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {whole} {whole}\" \
         shape-rendering=\"crispEdges\"><rect width=\"{whole}\" height=\"{whole}\" fill=\"#fff\"/>\
         <path d=\"{path}\"/></svg>\n"
    ))
}
