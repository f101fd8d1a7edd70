//! Tables with bars, for people to read.

/// How wide the longest bar is, in characters.
const WIDEST: u64 = 24;
/// A character's eighths, from the second on.
const EIGHTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/// A row: its cells, the first a name, and the number that its bar shows.
pub(crate) struct Row {
    pub cells: Vec<String>,
    pub bar: Option<u64>,
}

/// Lines of a table: the first column to the left, the others to the right, then bars that are
/// relative to the longest.
pub(crate) fn table(heads: &[&str], rows: &[Row]) -> Vec<String> {
    let longest = rows.iter().filter_map(|row| row.bar).max().unwrap_or(0);
    let head = Row { cells: heads.iter().map(|&head| head.to_owned()).collect(), bar: None };
    let all = || std::iter::once(&head).chain(rows);
    let width = |column: usize| {
        let cells = all().filter_map(|row| row.cells.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let line = |row: &Row| {
        let mut line = String::from("  ");
        for (number, (cell, &width)) in row.cells.iter().zip(&widths).enumerate() {
            line +=
                &if number == 0 { format!("{cell:<width$}") } else { format!("  {cell:>width$}") };
        }
        if let Some(value) = row.bar {
            line += "  ";
            line += &bar(value, longest);
        }
        line.trim_end().to_owned()
    };
    all().map(line).collect()
}

/// A bar; what is not nothing can be seen.
fn bar(value: u64, longest: u64) -> String {
    let eighths = u128::from(value) * u128::from(WIDEST) * 8;
    let eighths = eighths.checked_div(u128::from(longest)).unwrap_or(0).max(u128::from(value > 0));
    let eighths = usize::try_from(eighths).unwrap_or(usize::MAX);
    let mut bar = "█".repeat(eighths / 8);
    bar.extend((eighths % 8).checked_sub(1).map(|more| EIGHTHS[more]));
    bar
}

/// Bytes as in `1.4 GiB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let (mut unit, mut whole, mut rest) = (0, count, 0);
    while whole >= 1000 && unit + 1 < UNITS.len() {
        (unit, rest, whole) = (unit + 1, whole % 1024 * 10 / 1024, whole / 1024);
    }
    match unit {
        0 => format!("{whole} B"),
        _ if whole < 100 => format!("{whole}.{rest} {}", UNITS[unit]),
        _ => format!("{whole} {}", UNITS[unit]),
    }
}

/// A number with its thousands apart.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_say_their_unit() {
        for (number, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "0.9 KiB"),
            (1536, "1.5 KiB"),
            (104_857_600, "100 MiB"),
            (3 << 40, "3.0 TiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(bytes(number), text);
        }
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn columns_are_aligned_and_bars_are_relative_to_the_longest() {
        let row = |name: &str, value: u64, bar| Row { cells: vec![name.into(), count(value)], bar };
        let rows = [
            row("Айгүль", 1_000, Some(1_000)),
            row("b", 500, Some(500)),
            row("c", 1, Some(1)),
            row("d", 0, Some(0)),
        ];
        let lines = table(&["key", "bytes"], &rows);
        assert_eq!(
            lines,
            [
                "  key     bytes",
                "  Айгүль  1,000  ████████████████████████",
                "  b         500  ████████████",
                "  c           1  ▏",
                "  d           0",
            ]
        );
    }

    #[test]
    fn a_bar_grows_by_eighths() {
        let lengths: Vec<String> = (0..=9).map(|value| bar(value, 192)).collect();
        assert_eq!(lengths, ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█", "█▏"]);
    }
}
