// Findings of cdk-nag that are meant to be, each with its reason.
import { Stack, Validations } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';

/** Acknowledges findings on a construct and what is within it. */
export function acknowledge(construct: IConstruct, findings: Record<string, string>): void {
  Validations.of(construct).acknowledge(...Object.entries(findings).map(([id, reason]) => ({ id, reason })));
}

/** A resolved value as cdk-nag names it: `<Logical.Arn>/staged/*`. */
function flat(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value !== 'object' || value === null) return String(value);
  const { Ref, 'Fn::GetAtt': att, 'Fn::Join': join } = value as { Ref?: string; 'Fn::GetAtt'?: string[]; 'Fn::Join'?: [string, unknown[]] };
  if (Ref !== undefined) return `<${Ref}>`;
  if (att) return `<${att.join('.')}>`;
  if (join) return join[1].map(flat).join(join[0]);
  return JSON.stringify(value);
}

/** Acknowledges the wildcards among a policy's resources, each by itself: one that is added is a finding again. */
export function acknowledgeWildcards(construct: IConstruct, resources: string[], reason: string): void {
  const stack = Stack.of(construct);
  for (const resource of resources.map((one) => flat(stack.resolve(one)))) {
    // A log group's ARN ends in :* by itself, which cdk-nag does not see.
    if (resource.includes('*')) acknowledge(construct, { [`AwsSolutions-IAM5[Resource::${resource}]`]: reason });
  }
}

/** Acknowledges that a role has a policy of AWS's. */
export function acknowledgeManaged(construct: IConstruct, policy: string, reason: string): void {
  acknowledge(construct, { [`AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/${policy}]`]: reason });
}
