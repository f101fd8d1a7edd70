//! A plot, as an SVG that can be read on a light and on a dark page.

use std::fmt::Write as _;

use super::runs::Who;
use super::world::{DAYS, STEPS};

/// One office's line.
pub(super) struct Line {
    pub(super) who: Who,
    /// By half hour, from 0 to 1; `None` before anybody has come.
    pub(super) online: Vec<Option<f64>>,
}

/// One chart.
pub(super) struct Panel {
    pub(super) title: String,
    pub(super) about: String,
    pub(super) lines: Vec<Line>,
}

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 412.0;
/// The area of a panel's lines, and how far apart panels are.
const LEFT: f64 = 54.0;
const TOP: f64 = 104.0;
const ACROSS: f64 = 326.0;
const DOWN: f64 = 240.0;
const APART: f64 = 468.0;
/// How far apart the names of lines are, at least.
const NAMES: f64 = 16.0;
/// Over how many half hours a line is smoothed: six hours, two of the longest beat among the rivals.
const SMOOTH: usize = 12;

/// Colours on white and on black, for ours and then for rivals: those of Okabe and Ito, which people
/// who do not see all colours can tell apart, made darker or lighter.
const COLOURS: [(Who, &str, &str); 8] = [
    (Who::Ours, "#d9480f", "#ff922b"),
    (Who::Uniform, "#0072b2", "#56b4e9"),
    (Who::Nasr, "#007d5c", "#2bc49a"),
    (Who::BridgeDb, "#a8497f", "#e08fbd"),
    (Who::Salmon, "#8a6d00", "#d9b93a"),
    (Who::RBridge, "#6f42c1", "#b197fc"),
    (Who::Lox, "#57606a", "#9aa4ae"),
    (Who::ByHand, "#7a5230", "#c9a27e"),
];

/// Panels side by side.
pub(super) fn draw(panels: &[Panel]) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" \
         height=\"{HEIGHT}\" role=\"img\" aria-labelledby=\"t\">\n\
         <title id=\"t\">Share of honest people online over five days, by who hands out endpoints</title>\n"
    );
    svg += &style();
    svg += &format!(
        "<rect class=\"page\" x=\".5\" y=\".5\" width=\"{}\" height=\"{}\" rx=\"10\"/>\n",
        WIDTH - 1.0,
        HEIGHT - 1.0
    );
    svg += "<text class=\"head\" x=\"20\" y=\"34\">Who is still online while informers tell the censor?</text>\n";
    svg += &format!(
        "<text class=\"dim\" x=\"20\" y=\"{}\">Honest people online, in percent of those who have asked: \
         means of six hours, simulated. What an informer knows is blocked an hour later.</text>\n",
        HEIGHT - 18.0
    );
    for (number, panel) in panels.iter().enumerate() {
        let _ =
            writeln!(svg, "<g transform=\"translate({} {TOP})\">", LEFT + APART * number as f64);
        svg += &frame(panel);
        svg += &lines(panel);
        svg += "</g>\n";
    }
    svg + "</svg>\n"
}

fn style() -> String {
    let mut light = String::from(
        ".page{fill:#fff;stroke:#d1d9e0}.grid{stroke:#e3e8ed}.axis{stroke:#8c959f}.head,.title{fill:#1f2328}.dim{fill:#59636e}",
    );
    let mut dark = String::from(
        ".page{fill:#0d1117;stroke:#3d444d}.grid{stroke:#262c36}.axis{stroke:#656c76}.head,.title{fill:#f0f6fc}.dim{fill:#9198a1}",
    );
    for (number, (_, on_white, on_black)) in COLOURS.iter().enumerate() {
        for (style, colour) in [(&mut light, on_white), (&mut dark, on_black)] {
            let _ = write!(style, ".l{number}{{stroke:{colour}}}.n{number}{{fill:{colour}}}");
        }
    }
    format!(
        "<style>text{{font:12px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif}}\
         .head{{font-size:19px;font-weight:600}}.title{{font-size:14px;font-weight:600}}\
         .ours{{font-size:14px;font-weight:700}}path{{fill:none;stroke-width:1.6;stroke-linejoin:round}}\
         .bold{{stroke-width:3.4}}.name{{stroke-width:1;opacity:.6}}{light}\
         @media (prefers-color-scheme:dark){{{dark}}}</style>\n"
    )
}

fn frame(panel: &Panel) -> String {
    let mut svg = format!(
        "<text class=\"title\" x=\"0\" y=\"-34\">{}</text>\n<text class=\"dim\" x=\"0\" y=\"-15\">{}</text>\n",
        panel.title, panel.about
    );
    for percent in [0, 25, 50, 75, 100] {
        let (y, class) =
            (down(f64::from(percent) / 100.0), if percent == 0 { "axis" } else { "grid" });
        let _ = writeln!(
            svg,
            "<path class=\"{class}\" d=\"M0 {y:.1}H{ACROSS}\"/>\
             <text class=\"dim\" x=\"-8\" y=\"{:.1}\" text-anchor=\"end\">{percent}{}</text>",
            y + 4.0,
            if percent == 100 { " %" } else { "" }
        );
    }
    for day in 1..=DAYS {
        let width = ACROSS / DAYS as f64;
        let x = width * day as f64;
        let _ = writeln!(
            svg,
            "<path class=\"axis\" d=\"M{x:.1} {DOWN}v5\"/>\
             <text class=\"dim\" x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">day {day}</text>",
            x - width / 2.0,
            DOWN + 20.0
        );
    }
    svg
}

/// Rivals first, so that ours is on top; the name of each where it ends, or as near as there is room.
fn lines(panel: &Panel) -> String {
    let mut svg = String::new();
    let smooth: Vec<(Who, Vec<Option<f64>>)> =
        panel.lines.iter().map(|line| (line.who, smooth(&line.online))).collect();
    for (who, online) in smooth.iter().rev() {
        let mut path = String::new();
        for (step, share) in online.iter().enumerate() {
            let Some(share) = share else { continue };
            let pen = if path.is_empty() { 'M' } else { 'L' };
            let _ = write!(path, "{pen}{:.1} {:.1}", across(step), down(*share));
        }
        let bold = if *who == Who::Ours { " bold" } else { "" };
        let _ = writeln!(svg, "<path class=\"l{}{bold}\" d=\"{path}\"/>", colour(*who));
    }
    let mut ends: Vec<(Who, f64)> = smooth
        .iter()
        .filter_map(|(who, online)| Some((*who, down(online.last().copied().flatten()?))))
        .collect();
    ends.sort_by(|one, two| one.1.total_cmp(&two.1));
    let places = spread(&ends.iter().map(|end| end.1).collect::<Vec<_>>());
    for ((who, end), place) in ends.into_iter().zip(places) {
        let (number, ours) = (colour(who), if who == Who::Ours { " ours" } else { "" });
        let _ = writeln!(
            svg,
            "<path class=\"name l{number}\" d=\"M{:.1} {end:.1}L{:.1} {place:.1}\"/>\
             <text class=\"n{number}{ours}\" x=\"{:.1}\" y=\"{:.1}\">{who}</text>",
            ACROSS + 3.0,
            ACROSS + 15.0,
            ACROSS + 19.0,
            place + 4.0
        );
    }
    svg
}

fn across(step: usize) -> f64 {
    ACROSS * (step + 1) as f64 / STEPS as f64
}

fn down(share: f64) -> f64 {
    DOWN * (1.0 - share)
}

fn colour(who: Who) -> usize {
    COLOURS.iter().position(|(of, ..)| *of == who).unwrap_or_default()
}

/// The mean of the last six hours.
fn smooth(online: &[Option<f64>]) -> Vec<Option<f64>> {
    let mean = |step: usize| {
        let known: Vec<f64> =
            online[(step + 1).saturating_sub(SMOOTH)..=step].iter().flatten().copied().collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    };
    (0..online.len()).map(mean).collect()
}

/// Places as near as can be to those given, in order, and far enough apart.
fn spread(wanted: &[f64]) -> Vec<f64> {
    // Groups of names that touch: where the first wants to be, in the mean, and how many they are.
    let mut groups: Vec<(f64, usize)> = Vec::new();
    for &place in wanted {
        let (mut first, mut many) = (place, 1);
        while let Some(&(before, count)) = groups.last()
            && before + count as f64 * NAMES > first
        {
            let moved = first - count as f64 * NAMES;
            first = (before * count as f64 + moved * many as f64) / (count + many) as f64;
            many += count;
            groups.pop();
        }
        // None hangs below the axis.
        groups.push((first.min(DOWN - (many - 1) as f64 * NAMES), many));
    }
    groups
        .into_iter()
        .flat_map(|(first, many)| (0..many).map(move |number| first + number as f64 * NAMES))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_order_and_do_not_touch() {
        let wanted = [0.0, 1.0, 2.0, 100.0, 239.0, 239.5, 240.0];
        let places = spread(&wanted);
        assert_eq!(places.len(), wanted.len());
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] >= NAMES - 1e-9), "{places:?}");
        assert_eq!((places[1], places[3]), (1.0, 100.0), "in the middle of what it wants");
        assert!(places[6] <= DOWN, "{places:?}");
    }

    #[test]
    fn a_line_begins_with_the_first_people_and_is_the_mean_of_six_hours() {
        let mut online = vec![None, Some(1.0)];
        online.resize(40, Some(0.5));
        let line = smooth(&online);
        assert_eq!((line[0], line[1], line[2]), (None, Some(1.0), Some(0.75)));
        assert_eq!(line[39], Some(0.5));
    }

    #[test]
    fn everybody_has_a_line_and_a_name() {
        let line = |who| Line { who, online: vec![Some(0.4); STEPS] };
        let lines = Who::ALL.map(line).into();
        let svg = draw(&[Panel { title: "a".into(), about: "b".into(), lines }]);
        for who in Who::ALL {
            let class = format!("n{}", colour(who));
            assert!(svg.contains(&format!("<text class=\"{class}")), "{who}");
            assert!(svg.contains(&format!(">{who}</text>")), "{who}");
        }
        assert_eq!(svg.matches("<g ").count(), svg.matches("</g>").count());
    }
}
