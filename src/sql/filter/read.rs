//! A predicate's text → what it says.

use std::collections::BTreeSet;

use pg_query::protobuf::{
    AConst, AExpr, AExprKind, BoolExprType, BoolTestType, FuncCall, NullTestType, SqlValueFunctionOp, Token,
    TypeCast, a_const,
};
use pg_query::{Node, NodeEnum};

use super::FilterError;
use crate::sql::parse::{ParseLimits, fits_small_stack, tokens};
use crate::sql::tree;

/// A predicate that was read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Predicate {
    pub(super) condition: Condition,
    /// The claims that it names.
    pub(crate) claims: BTreeSet<String>,
    /// The columns that it reads.
    pub(crate) columns: BTreeSet<String>,
}

/// What is true, false or unknown.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Condition {
    All(Vec<Self>),
    Any(Vec<Self>),
    Compare {
        left: Operand,
        symbol: &'static str,
        right: Operand,
    },
    /// `&&`, `@>`, `<@`, and `?` of documents.
    Holds {
        left: Operand,
        symbol: &'static str,
        right: Operand,
    },
    Is {
        inner: Box<Self>,
        test: BoolTestType,
    },
    Like {
        left: Operand,
        symbol: &'static str,
        pattern: String,
    },
    /// `= ANY (…)`, or `ALL`.
    Many {
        left: Operand,
        symbol: &'static str,
        every: bool,
        values: Operand,
    },
    Not(Box<Self>),
    Null {
        operand: Operand,
        test: NullTestType,
    },
    StartsWith {
        left: Operand,
        prefix: Operand,
    },
    Value(Operand),
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    Array(Vec<Self>),
    AsText(Box<Self>),
    /// A function of texts that has an answer for every text.
    Call {
        function: &'static str,
        argument: Box<Self>,
    },
    Claim(String),
    Coalesce(Vec<Self>),
    Column(String),
    Join(Box<Self>, Box<Self>),
    /// `->`, `->>`, `#>`, `#>>`.
    Member {
        of: Box<Self>,
        symbol: &'static str,
        key: AConst,
    },
    /// `now()`, and what is added to it or taken from it.
    Now(Option<(&'static str, String)>),
    Number(AConst),
    Text(String),
    Truth(bool),
    /// A constant or claim of a type that is written out.
    Typed {
        value: Box<Self>,
        name: String,
    },
}

type Read<T> = Result<T, FilterError>;

impl Predicate {
    pub(crate) fn read(text: &str) -> Read<Self> {
        let syntax = |message: &str| FilterError::Syntax(message.to_owned());
        if !fits_small_stack(text, &ParseLimits::default()) {
            return Err(syntax("it is too long, nests too deeply, or cannot be read"));
        }
        let found = tokens(text).map_err(|_| syntax("it cannot be read"))?;
        let odd = |token: i32| {
            matches!(Token::try_from(token), Ok(Token::SqlComment | Token::CComment | Token::Ascii59))
        };
        if found.iter().any(|token| odd(token.token)) {
            return Err(syntax("it has a comment or a semicolon"));
        }
        let mut select = statement(&format!("SELECT 1 WHERE {text}"))?;
        let condition = match &mut select {
            NodeEnum::SelectStmt(select) => select.where_clause.take(),
            _ => None,
        };
        // whatever else a SELECT can have after its WHERE would be left
        if !tree::same(&select, &statement("SELECT 1")?) {
            return Err(syntax("something follows it"));
        }
        let Some(node) = condition else { return Err(syntax("there is nothing")) };
        let mut reader = Reader::default();
        let condition = reader.condition(&node)?;
        Ok(Self { condition, claims: reader.claims, columns: reader.columns })
    }
}

fn statement(text: &str) -> Read<NodeEnum> {
    let parsed = pg_query::parse(text, 0).map_err(|error| FilterError::Syntax(error.to_string()))?;
    let mut stmts = parsed.protobuf.stmts.into_iter();
    match (stmts.next().and_then(|raw| raw.stmt).and_then(|stmt| stmt.node), stmts.next()) {
        (Some(node), None) => Ok(node),
        _ => Err(FilterError::Syntax("it is several statements".into())),
    }
}

#[derive(Default)]
struct Reader {
    claims: BTreeSet<String>,
    columns: BTreeSet<String>,
}

impl Reader {
    fn condition(&mut self, node: &Node) -> Read<Condition> {
        let Some(inner) = node.node.as_ref() else { return Err(unsupported("nothing")) };
        match inner {
            NodeEnum::BoolExpr(boolean) => {
                let mut inner = Vec::with_capacity(boolean.args.len());
                for arg in &boolean.args {
                    inner.push(self.condition(arg)?);
                }
                match (boolean.boolop(), inner.pop()) {
                    (BoolExprType::NotExpr, Some(only)) if inner.is_empty() => Ok(not(only)),
                    (BoolExprType::AndExpr, Some(last)) => {
                        inner.push(last);
                        Ok(Condition::All(inner))
                    }
                    (BoolExprType::OrExpr, Some(last)) => {
                        inner.push(last);
                        Ok(Condition::Any(inner))
                    }
                    _ => Err(unsupported("this kind of AND, OR or NOT")),
                }
            }
            NodeEnum::BooleanTest(test) => Ok(Condition::Is {
                inner: Box::new(self.condition(some(&test.arg)?)?),
                test: test.booltesttype(),
            }),
            NodeEnum::NullTest(test) => {
                Ok(Condition::Null { operand: self.operand(some(&test.arg)?)?, test: test.nulltesttype() })
            }
            NodeEnum::AExpr(operation) => self.operation(operation, node),
            NodeEnum::FuncCall(call) if name_of(call) == Some("starts_with") => match call.args.as_slice() {
                [left, prefix] if is_plain(call) => {
                    Ok(Condition::StartsWith { left: self.operand(left)?, prefix: self.operand(prefix)? })
                }
                _ => Err(unsupported("this form of starts_with")),
            },
            _ => Ok(Condition::Value(self.operand(node)?)),
        }
    }

    fn operation(&mut self, operation: &AExpr, node: &Node) -> Read<Condition> {
        let symbol = symbol_of(operation)?;
        let left = || some(&operation.lexpr);
        let right = || some(&operation.rexpr);
        let known = |known: &[&'static str]| known.iter().copied().find(|known| *known == symbol);
        match operation.kind() {
            AExprKind::AexprOp => {
                if let Some(symbol) = known(COMPARISONS) {
                    let (left, right) = (self.operand(left()?)?, self.operand(right()?)?);
                    return Ok(Condition::Compare { left, symbol, right });
                }
                if let Some(symbol) = known(HOLDS) {
                    let (left, right) = (self.operand(left()?)?, self.operand(right()?)?);
                    return Ok(Condition::Holds { left, symbol, right });
                }
                Ok(Condition::Value(self.operand(node)?))
            }
            AExprKind::AexprOpAny | AExprKind::AexprOpAll => {
                let symbol = known(COMPARISONS).ok_or_else(|| unsupported(&format!("{symbol} ANY")))?;
                Ok(Condition::Many {
                    left: self.operand(left()?)?,
                    symbol,
                    every: operation.kind() == AExprKind::AexprOpAll,
                    values: self.operand(right()?)?,
                })
            }
            AExprKind::AexprIn => {
                let left = self.operand(left()?)?;
                let Some(NodeEnum::List(list)) = right()?.node.as_ref() else {
                    return Err(unsupported("this form of IN"));
                };
                let mut among = Vec::with_capacity(list.items.len());
                for item in &list.items {
                    let right = self.operand(item)?;
                    among.push(Condition::Compare { left: left.clone(), symbol: "=", right });
                }
                let among = Condition::Any(among);
                Ok(if symbol == "<>" { not(among) } else { among })
            }
            AExprKind::AexprLike | AExprKind::AexprIlike => {
                let symbol = known(LIKES).ok_or_else(|| unsupported(symbol))?;
                let left = self.operand(left()?)?;
                match self.operand(right()?)? {
                    Operand::Text(pattern) if !ends_in_escape(&pattern) => {
                        Ok(Condition::Like { left, symbol, pattern })
                    }
                    Operand::Text(_) => Err(unsupported("a pattern that ends with a backslash")),
                    // a % in a claim would be a pattern
                    _ => Err(unsupported("LIKE with anything but a constant (starts_with takes a claim)")),
                }
            }
            AExprKind::AexprBetween | AExprKind::AexprNotBetween => {
                let left = self.operand(left()?)?;
                let Some(NodeEnum::List(list)) = right()?.node.as_ref() else {
                    return Err(unsupported("this form of BETWEEN"));
                };
                let [low, high] = list.items.as_slice() else {
                    return Err(unsupported("this form of BETWEEN"));
                };
                let (low, high) = (self.operand(low)?, self.operand(high)?);
                let between = Condition::All(vec![
                    Condition::Compare { left: left.clone(), symbol: ">=", right: low },
                    Condition::Compare { left, symbol: "<=", right: high },
                ]);
                Ok(if operation.kind() == AExprKind::AexprNotBetween { not(between) } else { between })
            }
            AExprKind::AexprDistinct | AExprKind::AexprNotDistinct => {
                Err(unsupported("IS DISTINCT FROM (write = and IS NULL)"))
            }
            _ => Err(unsupported("this operator")),
        }
    }

    fn operand(&mut self, node: &Node) -> Read<Operand> {
        let Some(inner) = node.node.as_ref() else { return Err(unsupported("nothing")) };
        match inner {
            NodeEnum::ColumnRef(reference) => match tree::strings(&reference.fields).as_deref() {
                Some([column]) => {
                    self.columns.insert((*column).to_owned());
                    Ok(Operand::Column((*column).to_owned()))
                }
                Some(["principal", claim]) => {
                    self.claims.insert((*claim).to_owned());
                    Ok(Operand::Claim((*claim).to_owned()))
                }
                _ => Err(unsupported("a name with a dot that is not principal.<claim>")),
            },
            NodeEnum::AConst(constant) => literal(constant),
            NodeEnum::AArrayExpr(array) => {
                let items = array.elements.iter().map(|item| self.operand(item)).collect::<Read<_>>()?;
                Ok(Operand::Array(items))
            }
            NodeEnum::CoalesceExpr(coalesce) => {
                let items = coalesce.args.iter().map(|item| self.operand(item)).collect::<Read<_>>()?;
                Ok(Operand::Coalesce(items))
            }
            NodeEnum::SqlvalueFunction(value) if value.op() == SqlValueFunctionOp::SvfopCurrentTimestamp => {
                Ok(Operand::Now(None))
            }
            NodeEnum::SqlvalueFunction(_) => {
                Err(unsupported("what depends on the session's time zone or user (now() does not)"))
            }
            NodeEnum::FuncCall(call) => self.call(call),
            NodeEnum::TypeCast(cast) => self.cast(cast),
            NodeEnum::AExpr(operation) if operation.kind() == AExprKind::AexprOp => self.computed(operation),
            NodeEnum::SubLink(_) => Err(unsupported("a subquery")),
            NodeEnum::ParamRef(_) => Err(unsupported("a parameter")),
            NodeEnum::CaseExpr(_) => Err(unsupported("CASE (AND and OR say the same)")),
            other => Err(unsupported(&format!("the construct {}", crate::sql::facts::variant(other)))),
        }
    }

    fn call(&mut self, call: &FuncCall) -> Read<Operand> {
        let name = name_of(call).ok_or_else(|| unsupported("a function with a schema"))?;
        let no_such = || unsupported(&format!("the function {name}"));
        if !is_plain(call) {
            return Err(no_such());
        }
        match call.args.as_slice() {
            [] if matches!(name, "now" | "transaction_timestamp") => Ok(Operand::Now(None)),
            [argument] => {
                let function = FUNCTIONS.iter().copied().find(|known| *known == name).ok_or_else(no_such)?;
                Ok(Operand::Call { function, argument: Box::new(self.operand(argument)?) })
            }
            _ => Err(no_such()),
        }
    }

    fn computed(&mut self, operation: &AExpr) -> Read<Operand> {
        let symbol = symbol_of(operation)?;
        let (left, right) = (some(&operation.lexpr)?, some(&operation.rexpr)?);
        if let Some(symbol) = MEMBERS.iter().copied().find(|known| *known == symbol) {
            let Some(NodeEnum::AConst(key)) = right.node.as_ref().filter(|_| literal_key(right)) else {
                return Err(unsupported(&format!("{symbol} with anything but a constant")));
            };
            let of = Box::new(self.operand(left)?);
            return Ok(Operand::Member { of, symbol, key: AConst { location: -1, ..key.clone() } });
        }
        match symbol {
            "||" => Ok(Operand::Join(Box::new(self.operand(left)?), Box::new(self.operand(right)?))),
            "+" | "-" if self.operand(left)? == Operand::Now(None) => {
                let sign = if symbol == "+" { "+" } else { "-" };
                Ok(Operand::Now(Some((sign, span(right)?))))
            }
            _ => Err(unsupported(&format!("the operator {symbol}, which can fail on a row,"))),
        }
    }

    fn cast(&mut self, cast: &TypeCast) -> Read<Operand> {
        let inner = self.operand(some(&cast.arg)?)?;
        let name = type_of(cast).ok_or_else(|| unsupported("this kind of type in a cast"))?;
        match inner {
            // TRUE and FALSE are casts
            Operand::Truth(_) if name == "bool" => Ok(inner),
            Operand::Text(_) | Operand::Claim(_) if TYPES.contains(&name) => {
                Ok(Operand::Typed { value: Box::new(inner), name: name.to_owned() })
            }
            _ if name == "text" => Ok(Operand::AsText(Box::new(inner))),
            _ => Err(unsupported(&format!("a cast to {name}, which can fail on a row,"))),
        }
    }
}

fn not(condition: Condition) -> Condition {
    Condition::Not(Box::new(condition))
}

fn some(node: &Option<Box<Node>>) -> Read<&Node> {
    node.as_deref().ok_or_else(|| unsupported("nothing"))
}

fn unsupported(what: &str) -> FilterError {
    FilterError::Unsupported(what.to_owned())
}

fn literal(constant: &AConst) -> Read<Operand> {
    match constant.val.as_ref() {
        Some(a_const::Val::Sval(text)) => Ok(Operand::Text(text.sval.clone())),
        Some(a_const::Val::Boolval(truth)) => Ok(Operand::Truth(truth.boolval)),
        Some(a_const::Val::Ival(_)) => Ok(Operand::Number(AConst { location: -1, ..constant.clone() })),
        Some(a_const::Val::Fval(number))
            if number.fval.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'-')) =>
        {
            Ok(Operand::Number(AConst { location: -1, ..constant.clone() }))
        }
        None => Err(unsupported("NULL (write IS NULL)")),
        _ => Err(unsupported("this kind of constant")),
    }
}

fn literal_key(node: &Node) -> bool {
    let Some(NodeEnum::AConst(constant)) = node.node.as_ref() else { return false };
    matches!(constant.val, Some(a_const::Val::Sval(_) | a_const::Val::Ival(_)))
}

/// The name of a function or operator, without the one schema that it may have.
fn plain(names: &[Node]) -> Option<&str> {
    match tree::strings(names)?.as_slice() {
        [name] | ["pg_catalog", name] => Some(*name),
        _ => None,
    }
}

fn name_of(call: &FuncCall) -> Option<&str> {
    plain(&call.funcname)
}

fn symbol_of(operation: &AExpr) -> Read<&str> {
    let symbol = plain(&operation.name).ok_or_else(|| unsupported("an operator with a schema"))?;
    // one operator, two names
    Ok(if symbol == "!=" { "<>" } else { symbol })
}

/// A call of arguments and nothing else.
fn is_plain(call: &FuncCall) -> bool {
    call.agg_order.is_empty()
        && call.agg_filter.is_none()
        && call.over.is_none()
        && !call.agg_within_group
        && !call.agg_star
        && !call.agg_distinct
        && !call.func_variadic
}

fn type_of(cast: &TypeCast) -> Option<&str> {
    let name = cast.type_name.as_ref()?;
    let bare = name.typmods.is_empty() && name.array_bounds.is_empty() && !name.setof && !name.pct_type;
    plain(&name.names).filter(|_| bare)
}

/// `interval '7 days'` in hours, minutes or seconds: what a day and a month are depends on the session's time zone.
fn span(node: &Node) -> Read<String> {
    let refused = || unsupported("any span but whole weeks, days, hours, minutes or seconds beside now()");
    let Some(NodeEnum::TypeCast(cast)) = node.node.as_ref() else { return Err(refused()) };
    let constant = cast.arg.as_deref().and_then(|arg| arg.node.as_ref());
    let (Some("interval"), Some(NodeEnum::AConst(constant))) = (type_of(cast), constant) else {
        return Err(refused());
    };
    let Some(a_const::Val::Sval(text)) = constant.val.as_ref() else { return Err(refused()) };
    let (count, unit) = text.sval.trim().split_once(' ').ok_or_else(refused)?;
    let count: u32 = count.parse().ok().filter(|count| *count <= MOST_UNITS).ok_or_else(refused)?;
    let (factor, unit) = match unit.trim().trim_end_matches('s') {
        "week" => (168, "hours"),
        "day" => (24, "hours"),
        "hour" => (1, "hours"),
        "minute" => (1, "minutes"),
        "second" => (1, "seconds"),
        _ => return Err(refused()),
    };
    Ok(format!("{} {unit}", count * factor))
}

/// LIKE fails on what it has matched up to such an end.
fn ends_in_escape(pattern: &str) -> bool {
    pattern.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

const COMPARISONS: &[&str] = &["=", "<>", "<", "<=", ">", ">="];
const HOLDS: &[&str] = &["&&", "@>", "<@", "?", "?|", "?&"];
const LIKES: &[&str] = &["~~", "!~~", "~~*", "!~~*"];
const MEMBERS: &[&str] = &["->", "->>", "#>", "#>>"];

/// Functions of one text.
const FUNCTIONS: &[&str] =
    &["btrim", "char_length", "character_length", "length", "lower", "ltrim", "md5", "rtrim", "upper"];

/// Types that constants and claims may be cast to: reading them depends on no setting, or is checked.
const TYPES: &[&str] =
    &["bool", "date", "int2", "int4", "int8", "numeric", "text", "time", "timestamp", "timestamptz", "uuid"];

const MOST_UNITS: u32 = 1_000_000;
