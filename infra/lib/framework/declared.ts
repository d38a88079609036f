// What the roles of a module may call beyond what the module declares.
import { Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import { GRANTED_TO_ALL } from './function';

type Document = { Statement?: { Effect?: string; Action?: string | string[] }[] };

function actions(document: Document | undefined): string[] {
  const statements = document?.Statement ?? [];
  return statements.filter((statement) => statement.Effect === 'Allow').flatMap((statement) => statement.Action ?? []);
}

/** Operations that identity policies within a scope allow, and that are not among these. Sorted. */
export function undeclared(scope: Construct, declared: ReadonlySet<string>): string[] {
  const stack = Stack.of(scope);
  const found = new Set<string>();
  for (const child of scope.node.findAll()) {
    let documents: Document[] = [];
    if (child instanceof iam.CfnRole) {
      const policies = (stack.resolve(child.policies) ?? []) as { PolicyDocument?: Document; policyDocument?: Document }[];
      documents = policies.flatMap((policy) => policy.PolicyDocument ?? policy.policyDocument ?? []);
      for (const arn of (stack.resolve(child.managedPolicyArns) ?? []) as unknown[]) found.add(`managed policy ${JSON.stringify(arn)}`);
    } else if (child instanceof iam.CfnPolicy || child instanceof iam.CfnManagedPolicy) {
      documents = [stack.resolve(child.policyDocument) as Document];
    }
    for (const action of documents.flatMap(actions)) {
      if (!declared.has(action) && !GRANTED_TO_ALL.has(action)) found.add(action);
    }
  }
  return [...found].sort();
}
