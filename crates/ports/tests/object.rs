//! The BPF object that is committed was made from the source that is committed.

use std::path::Path;
use std::process::Command;

/// What a program writes on its standard output, if it is to be had and content.
fn output(command: &mut Command) -> Option<Vec<u8>> {
    let output = command.output().ok()?;
    output.status.success().then_some(output.stdout)
}

#[test]
fn the_object_is_made_from_its_source() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("bpf");
    let object = std::fs::read(folder.join("steer.bpf.o")).expect("the object");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let Some(digest) = output(Command::new("sha256sum").arg(folder.join("steer.bpf.c"))) else {
        return eprintln!("skipped: no sha256sum");
    };
    let digest = text(&digest[..64]);
    assert!(text(&object).contains(&digest), "bpf/steer.bpf.c has changed: run bpf/build");

    // Another clang makes other bytes, so only one that builds the committed source is asked whether
    // it still does.
    if output(Command::new("clang").arg("--version")).is_none() {
        return eprintln!("skipped: no clang, so nothing was built anew");
    }
    let anew = std::env::temp_dir().join(format!("steer-{}.bpf.o", std::process::id()));
    let built = output(Command::new(folder.join("build")).arg(&anew));
    let made = std::fs::read(&anew);
    let _ = std::fs::remove_file(&anew);
    assert!(built.is_some(), "bpf/build fails");
    assert!(text(&made.expect("an object")).contains(&digest));
}
