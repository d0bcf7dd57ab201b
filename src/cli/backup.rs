//! `boathook backup`: a copy of the journal, made while it is written.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::Form;
use super::failure::{UNREACHABLE, WRONG, fail_with};
use super::store::{ConfigFile, Store};
use super::words::count;
use crate::journal::{BackupError, Copied};

/// Where to.
#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// The copy; it must not exist yet
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Copies the journal, and tells what the copy holds.
pub(super) fn backup(config: &ConfigFile, args: &BackupArgs, form: Form) -> ExitCode {
    let store = match Store::open(config) {
        Ok(store) => store,
        Err(error) => return fail_with(error.code(), &error),
    };
    match store.reader.backup(&args.file) {
        Ok(copied) => {
            tell(args, copied, form);
            ExitCode::SUCCESS
        }
        Err(error @ (BackupError::Open(_) | BackupError::Copy { .. })) => fail_with(UNREACHABLE, &error),
        Err(error) => fail_with(WRONG, &error),
    }
}

fn tell(args: &BackupArgs, copied: Copied, form: Form) {
    let Copied { runs, debts, bytes } = copied;
    let file = args.file.display();
    if form.json {
        let object = json!({"file": file.to_string(), "runs": runs, "debts": debts, "bytes": bytes});
        let _ = writeln!(anstream::stdout(), "{object:#}");
    } else {
        let number = |it: u64| usize::try_from(it).unwrap_or(usize::MAX);
        let (runs, debts) = (count(number(runs), "run"), count(number(debts), "debt"));
        form.say(&format!("{file}: {runs}, {debts}, {}", count(number(bytes), "byte")));
    }
}
