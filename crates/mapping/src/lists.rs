//! Compiling lists: elements, `each` blocks, and source lists as they are.

use tributary_ocsf::{Attr, BaseType, Shape};

use crate::compile::Compiler;
use crate::diagnostic::Fault;
use crate::file::{keys, list};
use crate::plan::{CondPlan, ElementPlan, ItemPlan, ScalarPlan};
use crate::scope::Scope;
use crate::syntax::{is_expression, parse_expr};
use crate::yaml::{Node, Yaml};

impl Compiler<'_> {
    /// The elements of a list attribute.
    pub(crate) fn list(
        &mut self,
        shape: &'static Shape,
        attr: &'static Attr,
        yaml: &Yaml,
        path: &str,
    ) -> Vec<ElementPlan> {
        match &yaml.node {
            Node::List(items) => items.iter().filter_map(|item| self.element(shape, attr, item, path)).collect(),
            _ => self.element(shape, attr, yaml, path).into_iter().collect(),
        }
    }

    fn element(&mut self, shape: &'static Shape, attr: &'static Attr, yaml: &Yaml, path: &str) -> Option<ElementPlan> {
        if let Some(entries) = yaml.entries()
            && entries.iter().any(|entry| entry.key == "each")
        {
            return match self.each(shape, attr, yaml, path) {
                Ok(element) => Some(element),
                Err(fault) => {
                    self.fault(fault);
                    None
                }
            };
        }
        if attr.object.is_none()
            && let Node::Scalar { text, .. } = &yaml.node
            && is_expression(text)
        {
            let target = self.target(shape, attr, path);
            self.reading = yaml.pos;
            let expr = parse_expr(text, yaml.pos).and_then(|expr| self.expr(expr));
            return match expr {
                Ok(expr) if target.base() != BaseType::Json => Some(ElementPlan::Spread(expr, target)),
                Ok(_) => Some(ElementPlan::One(None, ItemPlan::Json(self.json(yaml)))),
                Err(fault) => {
                    self.fault(fault);
                    None
                }
            };
        }
        self.item(shape, attr, yaml, path).map(|item| ElementPlan::One(None, item))
    }

    fn each(
        &mut self,
        shape: &'static Shape,
        attr: &'static Attr,
        yaml: &Yaml,
        path: &str,
    ) -> Result<ElementPlan, Fault> {
        let entries = keys(yaml, &["each", "when", "item", "cases"])?;
        let find = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value);
        let source = find("each").ok_or_else(|| Fault::new(yaml.pos, "`each` is missing"))?;
        let text = source.scalar().ok_or_else(|| Fault::new(source.pos, "expected a path after `each:`"))?;
        let list_expr = parse_expr(text, source.pos)?;
        self.reading = source.pos;
        let list_plan = self.expr(list_expr)?;
        let outer = self.scope;
        self.scopes.push(Scope::default());
        self.scope = self.scopes.len() - 1;
        let scope = self.scope;
        let cases = self.each_cases(shape, attr, yaml, path, find("item"), find("when"), find("cases"));
        self.scope = outer;
        Ok(ElementPlan::Each { list: list_plan, scope, cases: cases? })
    }

    #[allow(clippy::too_many_arguments)]
    fn each_cases(
        &mut self,
        shape: &'static Shape,
        attr: &'static Attr,
        yaml: &Yaml,
        path: &str,
        item: Option<&Yaml>,
        when: Option<&Yaml>,
        cases: Option<&Yaml>,
    ) -> Result<Vec<(Option<CondPlan>, ItemPlan)>, Fault> {
        let mut plans = Vec::new();
        match (item, cases) {
            (Some(item), None) => {
                let cond = when.and_then(|when| self.condition(when));
                plans.extend(self.item(shape, attr, item, path).map(|item| (cond, item)));
            }
            (None, Some(cases)) => {
                if let Some(when) = when {
                    return Err(Fault::new(when.pos, "`when` stands in each case, or beside `item`"));
                }
                for case in list(cases)? {
                    let parts = keys(case, &["when", "item"])?;
                    let part = |key: &str| parts.iter().find(|entry| entry.key == key).map(|entry| &entry.value);
                    let Some(item) = part("item") else {
                        return Err(Fault::new(case.pos, "a case has `when` and `item`"));
                    };
                    let cond = part("when").and_then(|when| self.condition(when));
                    plans.extend(self.item(shape, attr, item, path).map(|item| (cond, item)));
                }
            }
            _ => return Err(Fault::new(yaml.pos, "`each` has either `item` or `cases`")),
        }
        Ok(plans)
    }

    fn item(&mut self, shape: &'static Shape, attr: &'static Attr, yaml: &Yaml, path: &str) -> Option<ItemPlan> {
        if let Some(object) = attr.object {
            let Some(entries) = yaml.entries() else {
                self.fault(Fault::new(yaml.pos, format!("{path} is a list of objects: write the attributes of one")));
                return None;
            };
            return Some(ItemPlan::Object(self.object(object, entries, path, yaml.pos)));
        }
        let target = self.target(shape, attr, path);
        if target.base() == BaseType::Json {
            return Some(ItemPlan::Json(self.json(yaml)));
        }
        let source = self.source(yaml, &target);
        Some(ItemPlan::Scalar(ScalarPlan { source, target }))
    }
}
