//! The `exit_code` of a `when`.

use super::node::Node;
use super::report::{Report, Wrong, quoted};
use super::scalar;
use super::table::Field;
use crate::hook::{ExitTest, Test};

/// Tests of the exit status. Two that exclude different ones always hold together.
pub(super) fn exit_code(field: &Field, report: &mut Report) -> Option<Test> {
    let tests = report.parse_each(field, exit_test)?;
    let excluded: Vec<i64> = tests
        .iter()
        .filter_map(|test| match test {
            ExitTest::IsNot(code) => Some(*code),
            ExitTest::Is(_) => None,
        })
        .collect();
    if let [first, rest @ ..] = excluded.as_slice()
        && rest.iter().any(|it| it != first)
    {
        let wrong = Wrong::new("always", "`exit_code` always holds: of a list one element is enough");
        report.push(field.value.span.clone(), wrong.help("name the codes that are meant, without `!=`"));
        return None;
    }
    Some(Test::ExitCode(tests))
}

fn exit_test(node: &Node) -> Result<ExitTest, Wrong> {
    let help = "write a number from 0 to 255, or `\"!=0\"`";
    let text = node.text().ok_or_else(|| scalar::wants("a number", node).help(help))?;
    let (number, test): (&str, fn(i64) -> ExitTest) = match text.strip_prefix("!=") {
        Some(number) => (number.trim(), ExitTest::IsNot),
        None => (text, ExitTest::Is),
    };
    match number.parse::<i64>() {
        Ok(code) if (0..=255).contains(&code) => Ok(test(code)),
        Ok(code) => Err(Wrong::new("range", format!("is never {code}"))
            .help("exit codes are 0 to 255; 128 + n is signal n")),
        Err(_) => Err(Wrong::new("exit-code", format!("cannot be {}", quoted(text)))
            .help("write a number from 0 to 255, or `\"!=0\"`")),
    }
}
