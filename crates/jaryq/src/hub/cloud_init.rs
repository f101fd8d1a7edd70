//! A text that makes a relay of a new server at whatever provider, for people who have never used ssh:
//! it is pasted where the provider's form says "cloud-init", "user data" or "startup script"
//! (https://docs.cloudinit.io/en/latest/reference/modules.html).

use std::fmt;
use std::str::FromStr;

use anyhow::bail;

use super::talk::Program;

/// What the text says.
pub(crate) struct CloudInit<'a> {
    invite: &'a str,
    program: &'a Program,
    from: BinaryUrl,
}

impl<'a> CloudInit<'a> {
    /// For this invite; the program comes from here, else from the hub.
    ///
    /// # Errors
    /// When the hub's own address is none for a script.
    pub fn new(
        invite: &'a str,
        program: &'a Program,
        from: Option<BinaryUrl>,
    ) -> anyhow::Result<Self> {
        let from = from.map_or_else(|| program.url.parse(), Ok)?;
        Ok(Self { invite, program, from })
    }
}

/// The address of a program: nothing in it means anything to a shell or to YAML.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct BinaryUrl(String);

impl FromStr for BinaryUrl {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let is_good = |c: char| c.is_ascii_alphanumeric() || "-._~:/?[]@%+=,&".contains(c);
        let has_host = http_host(text).is_some_and(|host| !host.is_empty());
        if !has_host || text.len() > 1000 || !text.chars().all(is_good) {
            bail!("'{text}' is no address of a file: give https://HOST/FILE or http://HOST/FILE");
        }
        Ok(Self(text.to_owned()))
    }
}

fn http_host(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    rest.split('/').next()
}

impl fmt::Display for BinaryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The whole text. What it downloads is used only if it is the very program that wrote it, so that
/// nobody needs to vouch for where it comes from.
impl fmt::Display for CloudInit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { invite, program: Program { sha256, machine, .. }, from } = self;
        write!(
            f,
            r#"#cloud-config
# Makes a relay of this server, which helps people who are cut off from the internet.
# Paste all of it where the provider's form says cloud-init, user data or startup script, within an
# hour, for one new server (Debian or Ubuntu, {machine}). What became of it stands there in
# /var/log/cloud-init-output.log
write_files:
  - path: /run/jaryq-join.sh
    permissions: "0700"
    content: |
      #!/bin/sh
      set -eu
      say() {{ echo "jaryq: $*"; }}
      if [ "$(uname -m)" != "{machine}" ]; then
        say "this server is $(uname -m), and the program is for {machine}: take another kind of server"
        exit 1
      fi
      # Not below /tmp or /run, where programs may be forbidden.
      cd "$(mktemp -d -p "${{TMPDIR:-/usr/local}}" jaryq.XXXXXX)"
      trap 'rm -rf "$PWD"' EXIT
      get() {{
        if command -v curl >/dev/null; then
          curl -fsSLk --max-time 600 -o jaryq "{from}"
        else
          wget -q --no-check-certificate -T 600 -O jaryq "{from}"
        fi
      }}
      for wait in 5 10 20 40 80; do
        if get; then break; fi
        say "cannot download the program yet"
        sleep "$wait"
      done
      if ! echo "{sha256}  jaryq" | sha256sum -c - >/dev/null; then
        say "what was downloaded is not the program that was promised: nothing is done"
        exit 1
      fi
      chmod 755 jaryq
      ./jaryq install --join "{invite}"
      rm -f /run/jaryq-join.sh
runcmd:
  - [sh, /run/jaryq-join.sh]
"#
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_would_mean_something_to_a_shell_is_refused() {
        for bad in [
            "",
            "ftp://a.example/jaryq",
            "https:///jaryq",
            "https://a.example/$(reboot)",
            "https://a.example/\"; reboot",
            "https://a.example/`x`",
            "https://a.example/a b",
            "https://a.example/a\nb",
        ] {
            assert!(bad.parse::<BinaryUrl>().is_err(), "{bad}");
        }
        let good = "https://a.example:8443/releases/jaryq-x86_64?download=1";
        assert_eq!(good.parse::<BinaryUrl>().expect(good).to_string(), good);
    }
}
