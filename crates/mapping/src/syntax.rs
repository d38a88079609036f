//! Expressions and conditions: from text to a tree.

use crate::diagnostic::{Fault, Pos};

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    Name(String),
    /// From the start, or from the end when negative.
    Index(i64),
}

/// A path from the record (`$.`) or from the current item (`.`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) root: bool,
    pub(crate) steps: Vec<Step>,
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.root { "$" } else { "" })?;
        if self.steps.is_empty() {
            return f.write_str(if self.root { "" } else { "." });
        }
        for step in &self.steps {
            match step {
                Step::Name(name) if name.chars().all(|c| c.is_alphanumeric() || c == '_') => {
                    f.write_str(".")?;
                    f.write_str(name)?;
                }
                Step::Name(name) => write!(f, "[{name:?}]")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// An expression.
#[derive(Debug, Clone)]
pub(crate) enum Expr {
    Path(Path),
    Text(String),
    Number(f64),
    /// Alternatives, each with the calls that follow.
    First(Vec<Expr>),
    Call {
        name: String,
        pos: Pos,
        input: Option<Box<Expr>>,
        args: Vec<Expr>,
    },
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compare {
    StartsWith,
    EndsWith,
    Contains,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A condition.
#[derive(Debug, Clone)]
pub(crate) enum Cond {
    Exists(Expr),
    /// The expression is one of these words.
    In(Expr, Vec<String>),
    Compare(Expr, Compare, String),
    Not(Box<Cond>),
    And(Vec<Cond>),
    Or(Vec<Cond>),
}

/// Whether a YAML scalar is an expression rather than a literal.
pub(crate) fn is_expression(text: &str) -> bool {
    text == "." || text.starts_with("$.") || text == "$" || text.starts_with("= ") || {
        let mut chars = text.chars();
        chars.next() == Some('.')
            && chars.next().is_some_and(|c| c.is_alphabetic() || matches!(c, '_' | '[' | ' ' | '@' | '$'))
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    /// `.name` steps and indices, already together.
    Path(Path),
    Word(String),
    Quoted(String),
    Number(f64),
    Sign(&'static str),
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    origin: Pos,
}

const SIGNS: [&str; 14] = ["//", "==", "!=", ">=", "<=", "|", "(", ")", ",", "[", "]", ">", "<", "="];

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn pos(&self) -> Pos {
        let before = self.text.get(..self.at).unwrap_or_default();
        self.origin.right(if before.is_ascii() { before.len() } else { before.chars().count() })
    }

    fn fault(&self, message: impl Into<String>) -> Fault {
        Fault::new(self.pos(), message)
    }

    fn word(&mut self) -> String {
        let end = self
            .rest()
            .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '/' | '.' | ':' | '$' | '@' | '*' | '#')))
            .unwrap_or(self.rest().len());
        let word = self.rest().get(..end).unwrap_or_default().to_owned();
        self.at += end;
        word
    }

    fn quoted(&mut self) -> Result<String, Fault> {
        let quote = self.rest().chars().next().unwrap_or('"');
        let start = self.pos();
        self.at += 1;
        let mut text = String::new();
        let mut chars = self.rest().chars();
        while let Some(c) = chars.next() {
            self.at += c.len_utf8();
            if c == quote {
                return Ok(text);
            }
            if c == '\\' {
                let Some(escaped) = chars.next() else { break };
                self.at += escaped.len_utf8();
                text.push(match escaped {
                    'n' => '\n',
                    't' => '\t',
                    other => other,
                });
            } else {
                text.push(c);
            }
        }
        Err(Fault::new(start, "this quote is never closed"))
    }

    fn path(&mut self) -> Result<Path, Fault> {
        let root = self.rest().starts_with('$');
        if root {
            self.at += 1;
        }
        let mut steps = Vec::new();
        loop {
            let rest = self.rest();
            if let Some(after) = rest.strip_prefix('.') {
                let end = after
                    .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '$' | '@' | '#')))
                    .unwrap_or(after.len());
                let name = after.get(..end).unwrap_or_default();
                self.at += 1 + end;
                if name.is_empty() {
                    // A lone dot is the item itself; `.["name"]` goes on below.
                    if steps.is_empty() && !self.rest().starts_with('.') {
                        continue_index(self, &mut steps)?;
                        return Ok(Path { root, steps: std::mem::take(&mut steps) });
                    }
                    return Err(self.fault("a field name is missing after the dot"));
                }
                steps.push(Step::Name(name.to_owned()));
            } else if rest.starts_with('[') {
                self.index(&mut steps)?;
            } else {
                return Ok(Path { root, steps });
            }
        }
    }

    fn index(&mut self, steps: &mut Vec<Step>) -> Result<(), Fault> {
        self.at += 1;
        if self.rest().starts_with(['"', '\'']) {
            let name = self.quoted()?;
            steps.push(Step::Name(name));
        } else {
            let end = self.rest().find(']').unwrap_or(0);
            let number = self.rest().get(..end).unwrap_or_default().trim();
            let Ok(index) = number.parse::<i64>() else {
                return Err(self.fault("expected a number or a quoted name in brackets, such as [0] or [\"name\"]"));
            };
            self.at += end;
            steps.push(Step::Index(index));
        }
        if !self.rest().starts_with(']') {
            return Err(self.fault("expected ']'"));
        }
        self.at += 1;
        Ok(())
    }

    fn next(&mut self) -> Result<Option<(Token, Pos)>, Fault> {
        let trimmed = self.rest().trim_start();
        self.at = self.text.len() - trimmed.len();
        let pos = self.pos();
        let Some(first) = trimmed.chars().next() else { return Ok(None) };
        let token = match first {
            '"' | '\'' => Token::Quoted(self.quoted()?),
            '.' | '$' => Token::Path(self.path()?),
            '-' | '0'..='9' => {
                let word = self.word();
                match word.parse::<f64>() {
                    Ok(number) => Token::Number(number),
                    Err(_) => Token::Word(word),
                }
            }
            c if c.is_alphabetic() || matches!(c, '_' | '*' | '#' | '@') => Token::Word(self.word()),
            '/' if !trimmed.starts_with("//") => Token::Word(self.word()),
            _ => {
                let Some(sign) = SIGNS.into_iter().find(|sign| trimmed.starts_with(sign)) else {
                    return Err(self.fault(format!("unexpected {first:?}")));
                };
                self.at += sign.len();
                Token::Sign(sign)
            }
        };
        Ok(Some((token, pos)))
    }
}

fn continue_index(lexer: &mut Lexer<'_>, steps: &mut Vec<Step>) -> Result<(), Fault> {
    while lexer.rest().starts_with('[') {
        lexer.index(steps)?;
    }
    while lexer.rest().starts_with('.') {
        let more = lexer.path()?;
        steps.extend(more.steps);
    }
    Ok(())
}

/// Parses an expression that starts at `origin`.
pub(crate) fn parse_expr(text: &str, origin: Pos) -> Result<Expr, Fault> {
    let (text, origin) = match text.strip_prefix("= ") {
        Some(rest) => (rest, origin.right(2)),
        None => (text, origin),
    };
    let mut parser = Parser::new(text, origin)?;
    let expr = parser.expr()?;
    parser.finish()?;
    Ok(expr)
}

/// Parses a condition that starts at `origin`.
pub(crate) fn parse_cond(text: &str, origin: Pos) -> Result<Cond, Fault> {
    let mut parser = Parser::new(text, origin)?;
    let cond = parser.or()?;
    parser.finish()?;
    Ok(cond)
}

/// Parses one path, without functions.
pub(crate) fn parse_path(text: &str, origin: Pos) -> Result<Path, Fault> {
    match parse_expr(text, origin)? {
        Expr::Path(path) => Ok(path),
        _ => Err(Fault::new(origin, "expected a path, such as .properties.status")),
    }
}

struct Parser {
    tokens: Vec<(Token, Pos)>,
    at: usize,
    end: Pos,
    depth: usize,
}

/// Most levels of parentheses and calls.
const MAX_NESTING: usize = 32;

impl Parser {
    fn new(text: &str, origin: Pos) -> Result<Self, Fault> {
        let mut lexer = Lexer { text, at: 0, origin };
        let mut tokens = Vec::new();
        while let Some(token) = lexer.next()? {
            tokens.push(token);
        }
        Ok(Self { tokens, at: 0, end: lexer.pos(), depth: 0 })
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(token, _)| token)
    }

    fn pos(&self) -> Pos {
        self.tokens.get(self.at).map_or(self.end, |(_, pos)| *pos)
    }

    fn fault(&self, message: impl Into<String>) -> Fault {
        Fault::new(self.pos(), message)
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Sign(found)) if *found == sign);
        self.at += usize::from(found);
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(found)) if found == word);
        self.at += usize::from(found);
        found
    }

    fn expect_sign(&mut self, sign: &str) -> Result<(), Fault> {
        if self.take_sign(sign) { Ok(()) } else { Err(self.fault(format!("expected {sign:?}"))) }
    }

    fn finish(&self) -> Result<(), Fault> {
        if self.at < self.tokens.len() { Err(self.fault("unexpected text after the expression")) } else { Ok(()) }
    }

    fn enter(&mut self) -> Result<(), Fault> {
        self.depth += 1;
        if self.depth > MAX_NESTING { Err(self.fault("nested too deep")) } else { Ok(()) }
    }

    fn expr(&mut self) -> Result<Expr, Fault> {
        self.enter()?;
        let mut alternatives = vec![self.primary()?];
        while self.take_sign("//") {
            alternatives.push(self.primary()?);
        }
        while self.take_sign("|") {
            let pos = self.pos();
            let Some(Token::Word(name)) = self.peek().cloned() else {
                return Err(self.fault("expected a function's name after '|'"));
            };
            self.at += 1;
            let args = if self.take_sign("(") { self.args()? } else { Vec::new() };
            // The function is tried on each alternative: a refused value gives way to the next.
            alternatives = alternatives
                .into_iter()
                .map(|input| Expr::Call { name: name.clone(), pos, input: Some(Box::new(input)), args: args.clone() })
                .collect();
        }
        self.depth -= 1;
        match alternatives.len() {
            1 => alternatives.pop().ok_or_else(|| self.fault("expected an expression")),
            _ => Ok(Expr::First(alternatives)),
        }
    }

    fn args(&mut self) -> Result<Vec<Expr>, Fault> {
        let mut args = Vec::new();
        if self.take_sign(")") {
            return Ok(args);
        }
        loop {
            args.push(self.expr()?);
            if self.take_sign(")") {
                return Ok(args);
            }
            self.expect_sign(",")?;
        }
    }

    fn primary(&mut self) -> Result<Expr, Fault> {
        let pos = self.pos();
        match self.peek().cloned() {
            Some(Token::Path(path)) => {
                self.at += 1;
                Ok(Expr::Path(path))
            }
            Some(Token::Quoted(text)) => {
                self.at += 1;
                Ok(Expr::Text(text))
            }
            Some(Token::Number(number)) => {
                self.at += 1;
                Ok(Expr::Number(number))
            }
            Some(Token::Word(name)) => {
                self.at += 1;
                if self.take_sign("(") {
                    self.enter()?;
                    let args = self.args()?;
                    self.depth -= 1;
                    return Ok(Expr::Call { name, pos, input: None, args });
                }
                Ok(Expr::Text(name))
            }
            Some(Token::Sign("(")) => {
                self.at += 1;
                let inner = self.expr()?;
                self.expect_sign(")")?;
                Ok(inner)
            }
            _ => Err(self.fault("expected a path such as .name, a word or a function")),
        }
    }

    fn or(&mut self) -> Result<Cond, Fault> {
        self.enter()?;
        let mut parts = vec![self.and()?];
        while self.take_word("or") {
            parts.push(self.and()?);
        }
        self.depth -= 1;
        Ok(if parts.len() == 1 { parts.remove(0) } else { Cond::Or(parts) })
    }

    fn and(&mut self) -> Result<Cond, Fault> {
        let mut parts = vec![self.not()?];
        while self.take_word("and") {
            parts.push(self.not()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Cond::And(parts) })
    }

    fn not(&mut self) -> Result<Cond, Fault> {
        if self.take_word("not") {
            self.enter()?;
            let inner = self.not()?;
            self.depth -= 1;
            return Ok(Cond::Not(Box::new(inner)));
        }
        if matches!(self.peek(), Some(Token::Sign("("))) {
            // A parenthesis opens a condition or an expression: try the condition first.
            let start = self.at;
            self.at += 1;
            if let Ok(inner) = self.or()
                && self.take_sign(")")
            {
                return Ok(inner);
            }
            self.at = start;
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Cond, Fault> {
        let left = self.expr()?;
        if self.take_word("exists") {
            return Ok(Cond::Exists(left));
        }
        if self.take_sign("==") {
            return Ok(Cond::In(left, vec![self.comparand()?]));
        }
        if self.take_sign("!=") {
            return Ok(Cond::Not(Box::new(Cond::In(left, vec![self.comparand()?]))));
        }
        if self.take_word("in") {
            self.expect_sign("[")?;
            let mut words = vec![self.comparand()?];
            while self.take_sign(",") {
                words.push(self.comparand()?);
            }
            self.expect_sign("]")?;
            return Ok(Cond::In(left, words));
        }
        let compare = if self.take_word("starts_with") {
            Compare::StartsWith
        } else if self.take_word("ends_with") {
            Compare::EndsWith
        } else if self.take_word("contains") {
            Compare::Contains
        } else if self.take_sign(">=") {
            Compare::GreaterOrEqual
        } else if self.take_sign("<=") {
            Compare::LessOrEqual
        } else if self.take_sign(">") {
            Compare::Greater
        } else if self.take_sign("<") {
            Compare::Less
        } else {
            return Err(self
                .fault("expected a comparison")
                .help("use exists, ==, !=, in [..], starts_with, ends_with, contains, <, <=, > or >="));
        };
        let right = self.comparand()?;
        Ok(Cond::Compare(left, compare, right))
    }

    fn comparand(&mut self) -> Result<String, Fault> {
        let text = match self.peek() {
            Some(Token::Word(word)) => word.clone(),
            Some(Token::Quoted(text)) => text.clone(),
            Some(Token::Number(number)) => format!("{number}"),
            _ => return Err(self.fault("expected a word, a number or quoted text")),
        };
        self.at += 1;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    fn expr(text: &str) -> Expr {
        parse_expr(text, Pos::new(1, 1)).unwrap()
    }

    #[test]
    fn paths() {
        for (text, steps) in [
            (".", 0),
            (".a", 1),
            ("$.a.b[0].c", 4),
            (".claims[\"http://x/upn\"]", 2),
            (".[\"a b\"].c", 2),
            (".a[-1]", 2),
        ] {
            let Expr::Path(path) = expr(text) else { panic!("{text}") };
            assert_eq!(path.steps.len(), steps, "{text}");
            assert_eq!(path.root, text.starts_with('$'));
        }
    }

    #[test]
    fn a_function_is_tried_on_each_alternative() {
        let Expr::First(parts) = expr(".a // .b | timestamp") else { panic!() };
        assert!(parts.iter().all(|part| matches!(part, Expr::Call { name, .. } if name == "timestamp")));
    }

    #[test]
    fn conditions() {
        let parse = |text| parse_cond(text, Pos::new(1, 1));
        for text in [
            ".a exists",
            ".a == ip and not .b in [x, \"y z\"] or (.c starts_with /subscriptions and .d >= 3)",
            ".a | lower == ip",
            "not (.a exists)",
        ] {
            assert!(parse(text).is_ok(), "{text}: {:?}", parse(text));
        }
        for text in [".a", ".a ==", "and", ".a == b c", "(.a exists", ".a in x"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn faults_have_a_place() {
        let fault = parse_expr(".a | ", Pos::new(3, 10)).unwrap_err();
        assert_eq!((fault.pos.line, fault.pos.column), (3, 15));
    }

    proptest! {
        #[test]
        fn total(text in ".{0,60}") {
            let _ = parse_expr(&text, Pos::default());
            let _ = parse_cond(&text, Pos::default());
        }
    }
}
