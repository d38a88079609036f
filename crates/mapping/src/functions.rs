//! The functions that every module has.

use std::net::IpAddr;

use crate::function::{Context, Function, Gives, Val};
use crate::timestamp;
use tributary_json::Kind;

macro_rules! function {
    ($name:literal, $min:literal..=$max:literal, $gives:ident, $about:literal, $body:expr) => {
        Function { name: $name, args: ($min, $max), gives: Gives::$gives, about: $about, body: $body }
    };
}

/// Most parts that `split` gives and most arguments a call may have.
const MAX_PARTS: usize = 1_024;

/// The library, in the documentation's order.
pub(crate) const LIBRARY: &[Function] = &[
    function!("timestamp", 0..=0, Time, "milliseconds from any time form", |cx, value, _| time(cx, value)),
    function!("text", 0..=0, Text, "the text of a string, number or boolean", |cx, value, _| {
        cx.text(value).map_or(Val::None, Val::Str)
    }),
    function!("lower", 0..=0, Text, "text in lower case", |cx, value, _| {
        with_text(cx, value, |text| cx.give(&text.to_lowercase()))
    }),
    function!("upper", 0..=0, Text, "text in upper case", |cx, value, _| {
        with_text(cx, value, |text| cx.give(&text.to_uppercase()))
    }),
    function!("trim", 0..=0, Text, "text without blanks around it", |cx, value, _| part(cx, value, |text| Some(
        text.trim()
    ))),
    function!("split", 1..=1, List, "trimmed, non-empty parts", split),
    function!("join", 1..=1, Text, "text of a list", join),
    function!("before", 1..=1, Text, "text before the first separator", |cx, value, args| {
        cut(cx, value, args, |text, sep| text.split_once(sep).map(|(before, _)| before))
    }),
    function!("after", 1..=1, Text, "text after the first separator", |cx, value, args| {
        cut(cx, value, args, |text, sep| text.split_once(sep).map(|(_, after)| after))
    }),
    function!("before_last", 1..=1, Text, "text before the last separator", |cx, value, args| {
        cut(cx, value, args, |text, sep| text.rsplit_once(sep).map(|(before, _)| before))
    }),
    function!("after_last", 1..=1, Text, "text after the last separator", |cx, value, args| {
        cut(cx, value, args, |text, sep| text.rsplit_once(sep).map(|(_, after)| after))
    }),
    function!("unless", 1..=64, Any, "the text unless it is one of these", |cx, value, args| {
        if is_one_of(cx, value, args) { Val::None } else { value }
    }),
    function!("only", 1..=64, Any, "the text if it is one of these", |cx, value, args| {
        if is_one_of(cx, value, args) { value } else { Val::None }
    }),
    function!("matching", 1..=1, Text, "the text if it starts with this", |cx, value, args| {
        let (Some(text), Some(prefix)) = (cx.text(value), argument(cx, args)) else { return Val::None };
        match text.get(..prefix.len()) {
            Some(start) if start.eq_ignore_ascii_case(prefix) => Val::Str(text),
            _ => Val::None,
        }
    }),
    function!("int", 0..=0, Int, "a whole number", |cx, value, _| int(cx, value).map_or(Val::None, Val::Int)),
    function!("float", 0..=0, Float, "a number", |cx, value, _| {
        let number =
            cx.text(value).and_then(|text| text.trim().parse::<f64>().ok()).filter(|number| number.is_finite());
        number.map_or(Val::None, Val::Float)
    }),
    function!("bool", 0..=0, Bool, "a truth value", |cx, value, _| {
        match cx.text(value) {
            Some(text) if ["true", "yes", "1"].iter().any(|word| text.eq_ignore_ascii_case(word)) => Val::Bool(true),
            Some(text) if ["false", "no", "0"].iter().any(|word| text.eq_ignore_ascii_case(word)) => Val::Bool(false),
            _ => Val::None,
        }
    }),
    function!("ip", 0..=0, Text, "the address of an ip or ip:port", |cx, value, _| {
        match cx.text(value).and_then(endpoint) {
            // What needs no change stays a part of the input.
            Some((ip, text, _)) if ip.to_string() == text => part(cx, value, |_| Some(text)),
            Some((ip, _, _)) => cx.give(&ip.to_string()),
            None => Val::None,
        }
    }),
    function!("port", 0..=0, Int, "the port of ip:port", |cx, value, _| {
        match cx.text(value).and_then(endpoint) {
            Some((_, _, Some(port))) => Val::Int(i64::from(port)),
            _ => Val::None,
        }
    }),
    function!("mac", 0..=0, Text, "a mac address as 11:22:33:44:55:66", mac),
    function!("email", 0..=0, Text, "the text if it is an email address", |cx, value, _| {
        part(cx, value, |text| {
            let (name, domain) = text.split_once('@')?;
            let fits = !name.is_empty() && domain.contains('.') && !text.contains(char::is_whitespace);
            fits.then_some(text)
        })
    }),
    function!("hostname", 0..=0, Text, "the text if it is a host name", |cx, value, _| {
        part(cx, value, |text| {
            let ok = text.len() <= 253
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
                && text.bytes().any(|byte| byte.is_ascii_alphanumeric());
            ok.then_some(text)
        })
    }),
    function!("url", 0..=0, Text, "the text with https:// where the scheme is missing", |cx, value, _| {
        with_text(cx, value, |text| {
            if text.contains("://") {
                Val::Str(text)
            } else {
                cx.give(&format!("https://{}", text.trim_start_matches('/')))
            }
        })
    }),
    function!("url_scheme", 0..=0, Text, "scheme of a url", |cx, value, _| {
        part(cx, value, |text| text.split_once("://").map(|(scheme, _)| scheme).filter(|scheme| is_scheme(scheme)))
    }),
    function!("url_host", 0..=0, Text, "host of a url", |cx, value, _| {
        part(cx, value, |text| {
            let authority = text.split_once("://")?.1.split(['/', '?', '#']).next()?;
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            Some(if host.starts_with('[') { host } else { host.split(':').next()? })
        })
    }),
    function!("url_path", 0..=0, Text, "path of a url", |cx, value, _| {
        part(cx, value, |text| {
            let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
            let path = rest.get(rest.find('/')?..)?;
            path.split(['?', '#']).next()
        })
    }),
    function!("url_query", 0..=0, Text, "query of a url", |cx, value, _| {
        part(cx, value, |text| text.split_once('?').map(|(_, query)| query.split('#').next().unwrap_or_default()))
    }),
    function!("json", 0..=0, Any, "the scalar or list inside a string that holds JSON", json),
    function!("http_status", 0..=0, Int, "the number of an http status", |cx, value, _| {
        cx.text(value).and_then(http_status).map_or(Val::None, Val::Int)
    }),
    function!("count", 0..=0, Int, "number of elements", |cx, value, _| {
        let count = match value {
            Val::Node(id) if matches!(cx.node(id).kind(), Kind::Array | Kind::Object) => cx.node(id).count(),
            Val::List(values) => values.len(),
            _ => return Val::None,
        };
        i64::try_from(count).map_or(Val::None, Val::Int)
    }),
];

fn with_text<'b>(cx: &Context<'_, 'b>, value: Val<'b>, then: impl FnOnce(&'b str) -> Val<'b>) -> Val<'b> {
    cx.text(value).map_or(Val::None, then)
}

fn part<'b>(cx: &Context<'_, 'b>, value: Val<'b>, cut: impl FnOnce(&'b str) -> Option<&'b str>) -> Val<'b> {
    match cx.text(value).and_then(cut) {
        Some(text) if !text.is_empty() => Val::Str(text),
        _ => Val::None,
    }
}

fn argument<'b>(cx: &Context<'_, 'b>, args: &[Val<'b>]) -> Option<&'b str> {
    args.first().and_then(|arg| cx.text(*arg))
}

fn cut<'b>(
    cx: &Context<'_, 'b>,
    value: Val<'b>,
    args: &[Val<'b>],
    cut: impl FnOnce(&'b str, &str) -> Option<&'b str>,
) -> Val<'b> {
    let Some(separator) = argument(cx, args) else { return Val::None };
    part(cx, value, |text| cut(text, separator))
}

fn is_one_of<'b>(cx: &Context<'_, 'b>, value: Val<'b>, words: &[Val<'b>]) -> bool {
    let Some(text) = cx.text(value) else { return false };
    let text = text.trim();
    words.iter().any(|word| cx.text(*word).is_some_and(|word| word.eq_ignore_ascii_case(text)))
}

fn time<'b>(cx: &Context<'_, 'b>, value: Val<'b>) -> Val<'b> {
    let ms = match value {
        Val::Int(number) => timestamp::from_number(number),
        other => cx.text(other).and_then(timestamp::parse_timestamp),
    };
    ms.map_or(Val::None, Val::Int)
}

fn split<'b>(cx: &Context<'_, 'b>, value: Val<'b>, args: &[Val<'b>]) -> Val<'b> {
    // A list is already what splitting should give.
    if let Val::Node(id) = value
        && cx.node(id).kind() == Kind::Array
    {
        return value;
    }
    let (Some(text), Some(separator)) = (cx.text(value), argument(cx, args)) else { return Val::None };
    let parts: Vec<Val<'b>> =
        text.split(separator).map(str::trim).filter(|part| !part.is_empty()).take(MAX_PARTS).map(Val::Str).collect();
    if parts.is_empty() { Val::None } else { Val::List(cx.arena.alloc_slice_copy(&parts)) }
}

fn join<'b>(cx: &Context<'_, 'b>, value: Val<'b>, args: &[Val<'b>]) -> Val<'b> {
    let separator = match args.first() {
        Some(Val::Str(text)) => text,
        _ => "",
    };
    let parts: Vec<&str> = match value {
        Val::Node(id) if cx.node(id).kind() == Kind::Array => {
            cx.node(id).elements().filter_map(|element| cx.text(Val::Node(element.id()))).collect()
        }
        Val::List(values) => values.iter().filter_map(|value| cx.text(*value)).collect(),
        scalar => cx.text(scalar).into_iter().collect(),
    };
    cx.give(&parts.join(separator))
}

fn int<'b>(cx: &Context<'_, 'b>, value: Val<'b>) -> Option<i64> {
    let text = cx.text(value)?.trim();
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return i64::from_str_radix(hex, 16).ok();
    }
    text.parse().ok().or_else(|| {
        // `12.0` is whole, `12.5` is not.
        let number: f64 = text.parse().ok()?;
        let whole = number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0;
        #[allow(clippy::cast_possible_truncation)]
        whole.then_some(number as i64)
    })
}

/// Address, its text and the port of `1.2.3.4`, `1.2.3.4:5`, `::1` or `[::1]:5`.
fn endpoint(text: &str) -> Option<(IpAddr, &str, Option<u16>)> {
    let text = text.trim();
    if let Ok(ip) = text.parse() {
        return Some((ip, text, None));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        let port = match port {
            "" => None,
            port => Some(port.strip_prefix(':')?.parse().ok()?),
        };
        return Some((IpAddr::V6(host.parse().ok()?), host, port));
    }
    let (host, port) = text.split_once(':')?;
    let ip = IpAddr::V4(host.parse().ok()?);
    // A bare colon is how some firewall texts write "no port".
    if port.is_empty() { Some((ip, host, None)) } else { Some((ip, host, Some(port.parse().ok()?))) }
}

fn mac<'b>(cx: &Context<'_, 'b>, value: Val<'b>, _: &[Val<'b>]) -> Val<'b> {
    with_text(cx, value, |text| {
        let digits: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b':' | b'-' | b'.')).collect();
        if digits.len() != 12 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Val::None;
        }
        let pairs: Vec<String> =
            digits.chunks(2).map(|pair| String::from_utf8_lossy(pair).to_ascii_uppercase()).collect();
        cx.give(&pairs.join(":"))
    })
}

fn json<'b>(cx: &Context<'_, 'b>, value: Val<'b>, _: &[Val<'b>]) -> Val<'b> {
    let Some(text) = cx.string(value) else { return Val::None };
    // Its own small document: only scalars and lists of scalars come out of it.
    let mut inner = tributary_json::Doc::new();
    let limits = tributary_json::Limits { depth: 4, nodes: 4_096 };
    let Ok(root) = inner.parse(text, cx.arena, limits) else { return Val::None };
    let inner_cx = Context { doc: &inner, arena: cx.arena };
    let scalar = |value: tributary_json::Value<'_, 'b>| match value.kind() {
        Kind::String => value.as_str().filter(|text| !text.is_empty()).map(Val::Str),
        Kind::Number => value.number_text().map(Val::Str),
        Kind::Bool => value.as_bool().map(Val::Bool),
        _ => None,
    };
    let value = inner_cx.node(root);
    if value.kind() == Kind::Array {
        let values: Vec<Val<'b>> = value.elements().filter_map(scalar).take(MAX_PARTS).collect();
        return if values.is_empty() { Val::None } else { Val::List(cx.arena.alloc_slice_copy(&values)) };
    }
    scalar(value).unwrap_or(Val::None)
}

/// `201`, `Created`, `Succeeded.Created`, `OK`, `Not Found`.
fn http_status(text: &str) -> Option<i64> {
    let word = text.rsplit('.').next().unwrap_or(text).trim();
    if let Ok(number) = word.parse::<i64>() {
        return (100..=599).contains(&number).then_some(number);
    }
    let plain: String = word.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    // Names of RFC 9110, section 15.
    Some(match plain.as_str() {
        "continue" => 100,
        "ok" => 200,
        "created" => 201,
        "accepted" => 202,
        "nocontent" => 204,
        "partialcontent" => 206,
        "movedpermanently" => 301,
        "found" => 302,
        "notmodified" => 304,
        "badrequest" => 400,
        "unauthorized" => 401,
        "forbidden" => 403,
        "notfound" => 404,
        "methodnotallowed" => 405,
        "notacceptable" => 406,
        "requesttimeout" => 408,
        "conflict" => 409,
        "gone" => 410,
        "preconditionfailed" => 412,
        "requestentitytoolarge" | "contenttoolarge" => 413,
        "unprocessableentity" | "unprocessablecontent" => 422,
        "toomanyrequests" => 429,
        "internalservererror" => 500,
        "notimplemented" => 501,
        "badgateway" => 502,
        "serviceunavailable" => 503,
        "gatewaytimeout" => 504,
        _ => return None,
    })
}

/// RFC 3986, section 3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}
