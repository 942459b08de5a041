package review

import (
	"switchyard/pdu"
	"switchyard/policy"
)

// InForce is the policy of a generation, held to what the generation allows. Calling it
// counts no faults and fills no memo, so that an operator who looks at a policy changes nothing
// about how it is obeyed.
type InForce struct{ *policy.Generation }

// Classify implements Classifier.
func (p InForce) Classify(s pdu.ServiceID, c pdu.CommandID) (policy.Verdict, error) {
	v, err := p.Policy().Classify(s, c)
	if err != nil {
		return v, err
	}
	v, _ = p.Enforce(s, c, v)
	return v, nil
}

// ClassifyRange implements RangeClassifier.
func (p InForce) ClassifyRange(s pdu.ServiceID, first pdu.CommandID, verdicts []policy.Verdict) (int, error) {
	n, err := rangesOf(p.Policy()).ClassifyRange(s, first, verdicts)
	for i, v := range verdicts[:n] {
		verdicts[i], _ = p.Enforce(s, first+pdu.CommandID(i), v)
	}
	return n, err
}

// Rule implements Ruler.
func (p InForce) Rule(s pdu.ServiceID, c pdu.CommandID) policy.Rule {
	if p.Origin == nil {
		return policy.Rule{}
	}
	return p.Origin(s, c)
}
