//! Bytes as text that survives a messenger: `jaryq-bundle.` or another word, base 64 as in URLs, and a
//! full stop, among whatever else somebody wrote; spaces and line breaks in it do not matter.
//!
//! For a QR code the same in capitals and base 32, of which a code holds more.

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD, Encoding};

/// For files and messages.
pub(crate) fn text(word: &str, bytes: &[u8]) -> String {
    format!("{word}.{}.", BASE64URL_NOPAD.encode(bytes))
}

/// For QR codes: nothing but what their denser mode for capitals takes.
pub(crate) fn capitals(word: &str, bytes: &[u8]) -> String {
    format!("{}.{}.", word.to_ascii_uppercase(), BASE32_NOPAD.encode(bytes))
}

/// Finds the first of either kind, of at most `most` bytes, and tells what is left after it. A damaged
/// one is passed over.
pub(crate) fn find<'a>(word: &str, text: &'a str, most: usize) -> Option<(Vec<u8>, &'a str)> {
    let capitals = word.to_ascii_uppercase();
    let mut rest = text;
    // From one full stop to the next, so that it takes time by the length of the text alone.
    while let Some((before, after)) = rest.split_once('.') {
        rest = after;
        let encoding = if before.ends_with(word) {
            BASE64URL_NOPAD
        } else if before.ends_with(&capitals) {
            BASE32_NOPAD
        } else {
            continue;
        };
        if let Some((inside, left)) = after.split_once('.')
            && let Some(bytes) = decode(&encoding, inside, most)
        {
            return Some((bytes, left));
        }
    }
    None
}

fn decode(encoding: &Encoding, inside: &str, most: usize) -> Option<Vec<u8>> {
    // Eight letters for each five bytes, and as much again for what a messenger may put between.
    if inside.len() > most.saturating_mul(4) {
        return None;
    }
    let is_quoting = |c: char| c.is_whitespace() || matches!(c, '>' | '\u{200b}' | '\u{feff}');
    let letters: String = inside.chars().filter(|c| !is_quoting(*c)).collect();
    let bytes = encoding.decode(letters.as_bytes()).ok()?;
    (!bytes.is_empty() && bytes.len() <= most).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_found_in_a_message_however_it_was_broken() {
        let bytes: Vec<u8> = (0..200).collect();
        for whole in [text("word-a", &bytes), capitals("word-a", &bytes)] {
            let (front, back) = whole.split_at(60);
            for message in [
                whole.clone(),
                format!("This is word-a. Keep it.\n\n{whole}\nSee you!"),
                format!("> {front}\r\n> {back}"),
                format!("{front} \u{200b}{back}"),
            ] {
                let found = find("word-a", &message, 200);
                assert_eq!(found.map(|(found, _)| found), Some(bytes.clone()), "{message}");
            }
            assert!(find("word-a", &whole, 199).is_none(), "it is longer than may be");
            assert!(find("word-a", &whole[..100], 200).is_none(), "a part is not the whole");
            assert!(find("word-b", &whole, 200).is_none());
            let after = format!("{}\nOnce more: {whole}", &whole[..100]);
            assert!(find("word-a", &after, 200).is_some(), "a damaged one is passed over");
        }
    }
}
