//! The SQL/JSON syntax of PostgreSQL 16 and 17.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    JsonAggConstructor, JsonBehavior, JsonOutput, JsonTable, JsonTablePathSpec, JsonValueExpr,
};

use super::{Outcome, Walk};

impl Walk<'_> {
    /// The last arm of expressions.
    pub(super) fn json(&mut self, node: &mut NodeEnum) -> Outcome {
        match node {
            NodeEnum::JsonIsPredicate(test) => {
                self.since(16, "IS JSON")?;
                self.opt(&mut test.expr)
            }
            NodeEnum::JsonValueExpr(value) => self.json_value(value),
            NodeEnum::JsonKeyValue(pair) => {
                self.opt(&mut pair.key)?;
                pair.value.as_deref_mut().map_or(Ok(()), |value| self.json_value(value))
            }
            NodeEnum::JsonObjectConstructor(object) => {
                self.since(16, "JSON_OBJECT")?;
                self.exprs(&mut object.exprs)?;
                self.json_output(&mut object.output)
            }
            NodeEnum::JsonArrayConstructor(array) => {
                self.since(16, "JSON_ARRAY")?;
                self.exprs(&mut array.exprs)?;
                self.json_output(&mut array.output)
            }
            NodeEnum::JsonArrayQueryConstructor(array) => {
                self.since(16, "JSON_ARRAY")?;
                self.subquery(array.query.as_deref_mut())?;
                self.json_output(&mut array.output)
            }
            NodeEnum::JsonObjectAgg(aggregate) => {
                self.since(16, "JSON_OBJECTAGG")?;
                if let Some(pair) = aggregate.arg.as_deref_mut() {
                    self.opt(&mut pair.key)?;
                    pair.value.as_deref_mut().map_or(Ok(()), |value| self.json_value(value))?;
                }
                aggregate.constructor.as_deref_mut().map_or(Ok(()), |rest| self.json_aggregate(rest))
            }
            NodeEnum::JsonArrayAgg(aggregate) => {
                self.since(16, "JSON_ARRAYAGG")?;
                aggregate.arg.as_deref_mut().map_or(Ok(()), |value| self.json_value(value))?;
                aggregate.constructor.as_deref_mut().map_or(Ok(()), |rest| self.json_aggregate(rest))
            }
            NodeEnum::JsonFuncExpr(call) => {
                self.since(17, "JSON_VALUE, JSON_QUERY and JSON_EXISTS")?;
                call.context_item.as_deref_mut().map_or(Ok(()), |value| self.json_value(value))?;
                self.opt(&mut call.pathspec)?;
                self.json_passing(&mut call.passing)?;
                self.json_output(&mut call.output)?;
                self.json_behavior(&mut call.on_empty)?;
                self.json_behavior(&mut call.on_error)
            }
            NodeEnum::JsonParseExpr(parse) => {
                self.since(17, "JSON()")?;
                parse.expr.as_deref_mut().map_or(Ok(()), |value| self.json_value(value))?;
                self.json_output(&mut parse.output)
            }
            NodeEnum::JsonScalarExpr(scalar) => {
                self.since(17, "JSON_SCALAR")?;
                self.opt(&mut scalar.expr)?;
                self.json_output(&mut scalar.output)
            }
            NodeEnum::JsonSerializeExpr(serialize) => {
                self.since(17, "JSON_SERIALIZE")?;
                serialize.expr.as_deref_mut().map_or(Ok(()), |value| self.json_value(value))?;
                self.json_output(&mut serialize.output)
            }
            other => Err(self.unknown(other)),
        }
    }

    pub(super) fn json_table(&mut self, table: &mut JsonTable) -> Outcome {
        self.since(17, "JSON_TABLE")?;
        table.context_item.as_deref_mut().map_or(Ok(()), |value| self.json_value(value))?;
        self.json_path(&mut table.pathspec)?;
        self.json_passing(&mut table.passing)?;
        self.json_columns(&mut table.columns)?;
        self.json_behavior(&mut table.on_error)
    }

    fn json_columns(&mut self, columns: &mut [pg_query::Node]) -> Outcome {
        for column in columns {
            let Some(NodeEnum::JsonTableColumn(column)) = column.node.as_mut() else {
                return Err(super::unsupported("this kind of column in JSON_TABLE"));
            };
            column.type_name.as_mut().map_or(Ok(()), |name| self.type_name(name))?;
            self.json_path(&mut column.pathspec)?;
            self.json_columns(&mut column.columns)?;
            self.json_behavior(&mut column.on_empty)?;
            self.json_behavior(&mut column.on_error)?;
        }
        Ok(())
    }

    fn json_path(&mut self, path: &mut Option<Box<JsonTablePathSpec>>) -> Outcome {
        path.as_deref_mut().map_or(Ok(()), |path| self.opt(&mut path.string))
    }

    fn json_passing(&mut self, arguments: &mut [pg_query::Node]) -> Outcome {
        for argument in arguments {
            let Some(NodeEnum::JsonArgument(argument)) = argument.node.as_mut() else {
                return Err(super::unsupported("this kind of PASSING argument"));
            };
            argument.val.as_deref_mut().map_or(Ok(()), |value| self.json_value(value))?;
        }
        Ok(())
    }

    fn json_value(&mut self, value: &mut JsonValueExpr) -> Outcome {
        self.opt(&mut value.raw_expr)?;
        self.opt(&mut value.formatted_expr)
    }

    fn json_aggregate(&mut self, rest: &mut JsonAggConstructor) -> Outcome {
        self.json_output(&mut rest.output)?;
        self.opt(&mut rest.agg_filter)?;
        self.exprs(&mut rest.agg_order)?;
        rest.over.as_deref_mut().map_or(Ok(()), |window| self.window(window))
    }

    fn json_output(&mut self, output: &mut Option<JsonOutput>) -> Outcome {
        match output.as_mut().and_then(|output| output.type_name.as_mut()) {
            Some(name) => self.type_name(name),
            None => Ok(()),
        }
    }

    fn json_behavior(&mut self, behavior: &mut Option<Box<JsonBehavior>>) -> Outcome {
        behavior.as_deref_mut().map_or(Ok(()), |behavior| self.opt(&mut behavior.expr))
    }
}
