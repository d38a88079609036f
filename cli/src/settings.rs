//! `tributary.toml`: defaults for flags. Flags win over the environment, the environment over the file.
//!
//! A key is a flag's long name; at the top it holds for every command that has the flag, in a table named like a command
//! for that one alone:
//!
//! ```toml
//! region = "eu-west-1"
//! [run]
//! ledger = "sqlite:/var/lib/tributary/state.db"
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Arg, Command};
use toml::{Table, Value};

use crate::failure::Failure;

/// Names another file.
const VARIABLE: &str = "TRIBUTARY_CONFIG";
const FILE: &str = "tributary.toml";
/// Flags that hold secrets: a file that lies beside the work is no place for them, and help prints defaults.
const SECRET: [&str; 1] = ["connection-string"];

/// The command with the file's values as defaults, if there is a file.
///
/// # Errors
/// When the file cannot be read, or a key or a value in it is none of the command's.
pub(crate) fn apply(command: Command) -> Result<Command, Failure> {
    let named = std::env::var_os(VARIABLE).map(PathBuf::from);
    let path = named.clone().unwrap_or_else(|| FILE.into());
    match std::fs::read_to_string(&path) {
        Ok(text) => apply_text(command, &path, &text),
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => Ok(command),
        Err(error) => Err(Failure::Usage(format!("cannot read {}: {error}", path.display()))),
    }
}

/// Variables of the functions that `doctor` reads too: what they name, the flag, and what its value begins with.
const OF_FUNCTIONS: [(&str, &str, &str); 7] = [
    // The older name is still in use.
    ("DYNAMODB_TABLE_NAME", "ledger", "dynamodb:"),
    ("CHECKPOINT_TABLE_NAME", "ledger", "dynamodb:"),
    ("SQS_QUEUE_URL", "queue", ""),
    ("STAGING_BUCKET", "staging", "s3://"),
    ("QUARANTINE_BUCKET", "quarantine", "s3://"),
    ("SECURITY_LAKE_S3_BUCKET", "lake", "s3://"),
    ("FLOW_LOG_SQS_QUEUE", "flow_log_queue", ""),
];

/// The command, `doctor` with the values of the functions' variables as defaults: it looks at their deployment.
pub(crate) fn of_functions(command: Command) -> Command {
    of_variables(command, |name| std::env::var(name).ok())
}

fn of_variables(command: Command, variable: impl Fn(&str) -> Option<String>) -> Command {
    let read = |name: &str| variable(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    command.mut_subcommand("doctor", |doctor| {
        OF_FUNCTIONS.into_iter().fold(doctor, |doctor, (name, flag, scheme)| {
            let Some(mut value) = read(name) else { return doctor };
            if !value.starts_with(scheme) {
                value.insert_str(0, scheme);
            }
            if let Some(attribute) = read("CHECKPOINT_TTL_ATTRIBUTE").filter(|_| flag == "ledger") {
                value.push_str(&format!("?ttl={attribute}"));
            }
            doctor.mut_arg(flag, |arg| arg.default_value(&*Box::leak(value.into_boxed_str())))
        })
    })
}

fn apply_text(mut command: Command, path: &Path, text: &str) -> Result<Command, Failure> {
    let refuse = |what: String| Failure::Usage(format!("{}: {what}", path.display()));
    let table: Table = toml::from_str(text).map_err(|error| refuse(error.to_string().trim_end().to_owned()))?;
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    let (mut general, mut own): (BTreeMap<String, String>, BTreeMap<String, BTreeMap<String, String>>) =
        Default::default();
    for (key, value) in table {
        match value {
            Value::Table(inner) if names.contains(&key) => {
                let values = inner.into_iter().map(|(name, value)| Ok((name, text_of(value)?)));
                let values: Result<_, String> = values.collect();
                own.insert(key, values.map_err(refuse)?);
            }
            Value::Table(_) => return Err(refuse(unknown(&key, "command", names.iter().map(String::as_str)))),
            value => drop(general.insert(key, text_of(value).map_err(refuse)?)),
        }
    }
    let every: Vec<String> = command.get_subcommands().flat_map(flags).collect();
    for key in general.keys() {
        check(key, &every).map_err(refuse)?;
    }
    for (name, values) in &own {
        let known: Vec<String> = command.find_subcommand(name).map(flags).unwrap_or_default();
        for key in values.keys() {
            check(key, &known).map_err(refuse)?;
        }
    }
    for name in names {
        let (general, own) = (general.clone(), own.remove(&name).unwrap_or_default());
        command = command
            .mut_subcommand(name, |sub| with_defaults(sub, &|key| own.get(key).or_else(|| general.get(key)).cloned()));
    }
    Ok(command)
}

/// A flag's name in the file: its long one, but where that says what the command does (`redrive --quarantine`).
fn key(arg: &Arg) -> String {
    arg.get_id().as_str().replace('_', "-")
}

/// The flags of a command and of the commands in it.
fn flags(command: &Command) -> Vec<String> {
    let own = command.get_arguments().filter(|arg| arg.get_long().is_some()).map(key);
    own.chain(command.get_subcommands().flat_map(flags)).collect()
}

/// The command, and the commands in it, with the file's values.
fn with_defaults(mut command: Command, value: &dyn Fn(&str) -> Option<String>) -> Command {
    let inner: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for name in inner {
        command = command.mut_subcommand(name, |sub| with_defaults(sub, value));
    }
    command.mut_args(|arg| match arg.get_long().and_then(|_| value(&key(&arg))) {
        // Once a process, and clap keeps it for good.
        Some(value) => arg.default_value(&*Box::leak(value.into_boxed_str())),
        None => arg,
    })
}

fn check(key: &str, known: &[String]) -> Result<(), String> {
    if SECRET.contains(&key) {
        return Err(format!("{key} is a secret: set its environment variable instead"));
    }
    if known.iter().any(|name| name == key) {
        Ok(())
    } else {
        Err(unknown(key, "setting", known.iter().map(String::as_str)))
    }
}

fn unknown<'n>(key: &str, what: &str, known: impl Iterator<Item = &'n str>) -> String {
    let near = known.map(|name| (distance(key, name), name)).min();
    match near.filter(|(distance, _)| *distance <= 2.max(key.len() / 3)) {
        Some((_, name)) => format!("there is no {what} {key:?}: did you mean {name:?}?"),
        None => format!("there is no {what} {key:?}"),
    }
}

/// Edits between two words (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.bytes().enumerate() {
        let mut before = i;
        let mut last = i + 1;
        for (right, slot) in b.bytes().zip(row.iter_mut().skip(1)) {
            let next = (before + usize::from(left != right)).min(*slot + 1).min(last + 1);
            before = *slot;
            *slot = next;
            last = next;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

fn text_of(value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Float(number) => Ok(number.to_string()),
        Value::Boolean(value) => Ok(value.to_string()),
        _ => Err("a setting is a text, a number or true or false".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::{ArgAction, arg};

    use super::*;

    fn command() -> Command {
        Command::new("t")
            .subcommand(
                Command::new("run")
                    .arg(arg!(--region <R>).required(false))
                    .arg(arg!(--"connection-string" <S>).required(false)),
            )
            .subcommand(
                Command::new("lake")
                    .arg(arg!(--region <R>).required(false))
                    .arg(arg!(--json).action(ArgAction::SetTrue)),
            )
            .subcommand(
                Command::new("positions").subcommand(Command::new("list").arg(arg!(--region <R>).required(false))),
            )
    }

    fn region(file: &str, arguments: &[&str]) -> Result<String, String> {
        let command = apply_text(command(), Path::new("tributary.toml"), file);
        let command = command.map_err(|failure| format!("{failure:?}"))?;
        let matches = command.try_get_matches_from(arguments).map_err(|error| error.to_string())?;
        let (_, mut sub) = matches.subcommand().unwrap();
        while let Some((_, inner)) = sub.subcommand() {
            sub = inner;
        }
        Ok(sub.get_one::<String>("region").cloned().unwrap_or_default())
    }

    #[test]
    fn the_file_gives_defaults_and_flags_win() {
        let file = "region = \"a\"\n[run]\nregion = \"b\"";
        assert_eq!(region(file, &["t", "lake"]).as_deref(), Ok("a"));
        assert_eq!(region(file, &["t", "run"]).as_deref(), Ok("b"));
        assert_eq!(region(file, &["t", "run", "--region", "c"]).as_deref(), Ok("c"));
        assert_eq!(region("", &["t", "run"]).as_deref(), Ok(""));
        assert_eq!(region(file, &["t", "positions", "list"]).as_deref(), Ok("a"));
        assert_eq!(region("[positions]\nregion = \"c\"", &["t", "positions", "list"]).as_deref(), Ok("c"));
    }

    #[test]
    fn what_is_wrong_is_named_with_the_nearest_right_one() {
        for (file, says) in [
            ("regoin = \"a\"", "region"),
            ("[rum]\nregion = \"a\"", "run"),
            ("[lake]\nconnection-string = \"a\"", "secret"),
            ("connection-string = \"a\"", "secret"),
            ("region = [1]", "a text, a number"),
            ("region = ", "line 1"),
        ] {
            let error = region(file, &["t", "lake"]).unwrap_err();
            assert!(error.contains(says) && error.contains("tributary.toml"), "{file}: {error}");
        }
    }
}
