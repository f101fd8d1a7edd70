//! Where the passphrase of the fleet key comes from.

use std::fs::File;
use std::io::{self, BufRead, IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};

/// The longest one that is read, in bytes.
const LONGEST: u64 = 1024;
/// The shortest one that a key is made with, in characters: NIST SP 800-63B asks for as many.
const SHORTEST: usize = 15;
/// What systemd calls it: `LoadCredential=passphrase:FILE` (systemd.exec(5)).
const CREDENTIAL: &str = "passphrase";

/// The passphrase; `is_new` when a key is to be made with it.
///
/// # Errors
/// When nobody gives one: a key without one is not kept.
pub(crate) fn ask(file: Option<&Path>, is_new: bool) -> anyhow::Result<String> {
    let credential = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let credential = credential.map(|folder| folder.join(CREDENTIAL)).filter(|path| path.exists());
    let passphrase = match file.map(Path::to_owned).or(credential) {
        Some(path) => {
            let shown = path.display();
            let file = File::open(&path).with_context(|| format!("cannot read {shown}"))?;
            read_line(io::BufReader::new(file)).with_context(|| format!("in {shown}"))?
        }
        None if io::stdin().is_terminal() => prompt(is_new)?,
        None => bail!(
            "the fleet key is kept under a passphrase, and nobody is here to type it: start the hub on \
             a terminal, give --passphrase-file FILE, or have systemd lend it as the credential \
             '{CREDENTIAL}' (LoadCredential=)"
        ),
    };
    if passphrase.is_empty() {
        bail!("the passphrase is empty");
    }
    if is_new && passphrase.chars().count() < SHORTEST {
        bail!(
            "a new fleet key needs a passphrase of {SHORTEST} characters or more: five words, say. \
             Whoever has this server's disk and guesses it has every link of the fleet"
        );
    }
    Ok(passphrase)
}

fn prompt(is_new: bool) -> anyhow::Result<String> {
    if !is_new {
        return hidden("The fleet's passphrase: ");
    }
    let _ = writeln!(
        io::stderr(),
        "A new fleet key is made and kept under a passphrase. Without it the fleet cannot be started \
         again: nobody can reset it."
    );
    let (once, twice) = (hidden("A new passphrase: ")?, hidden("Once more: ")?);
    if once != twice {
        bail!("these were two different passphrases; nothing was made");
    }
    Ok(once)
}

/// A line that the terminal does not show.
fn hidden(question: &str) -> anyhow::Result<String> {
    let _ = write!(io::stderr(), "{question}");
    let mut input = io::stdin().lock();
    let usual = tcgetattr(input.as_fd()).context("the terminal")?;
    let mut silent = usual.clone();
    silent.local_flags.remove(LocalFlags::ECHO);
    tcsetattr(input.as_fd(), SetArg::TCSAFLUSH, &silent).context("the terminal")?;
    let read = read_line(&mut input);
    let shown_again = tcsetattr(input.as_fd(), SetArg::TCSANOW, &usual);
    let _ = writeln!(io::stderr());
    shown_again.context("the terminal")?;
    read
}

/// The first line, without its end.
fn read_line(from: impl BufRead) -> anyhow::Result<String> {
    let mut line = String::new();
    let read = from.take(LONGEST).read_line(&mut line);
    if read.context("cannot read the passphrase")? as u64 == LONGEST {
        bail!("a passphrase of more than {LONGEST} bytes is none");
    }
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gives_its_first_line_and_a_new_key_needs_a_long_one() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("passphrase");
        let asked = |text: &str, is_new| {
            std::fs::write(&file, text).expect("written");
            ask(Some(&file), is_new)
        };
        assert_eq!(
            asked("five words or even more \r\nrest", true).expect("one"),
            "five words or even more "
        );
        assert_eq!(asked("short", false).expect("one"), "short");
        for (bad, said) in [("short", "15 characters"), ("\n", "empty")] {
            let error = asked(bad, true).expect_err(bad).to_string();
            assert!(error.contains(said), "{error}");
        }
        assert!(asked(&"x".repeat(2000), false).is_err());
    }
}
