// Prometheus' own reading of what we ask it, for tests.
//
//	promql select < EXPRESSIONS   what each line selects: metric names and labels
//	promql fire < STORY           which alerts of a rule file fire, minute by minute
//
// Answers in JSON, one line each, and ends with 1 at the first that is wrong.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// Selection is one metric, the labels by which it is chosen, and those by which it is grouped.
type Selection struct {
	Metric string   `json:"metric"`
	Labels []string `json:"labels"`
}

type expression struct {
	Selections []Selection `json:"selections"`
	Grouping   []string    `json:"grouping"`
}

func main() {
	verbs := map[string]func() error{"select": selections, "fire": fire}
	verb, known := verbs[os.Args[len(os.Args)-1]]
	if !known {
		fmt.Fprintln(os.Stderr, "promql select|fire")
		os.Exit(2)
	}
	if err := verb(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func selections() error {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		found, err := selected(lines.Text())
		if err != nil {
			return fmt.Errorf("%s: %w", lines.Text(), err)
		}
		if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
			return err
		}
	}
	return lines.Err()
}

func selected(text string) (expression, error) {
	found := expression{Selections: []Selection{}, Grouping: []string{}}
	parsed, err := parser.ParseExpr(text)
	if err != nil {
		return found, err
	}
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		switch one := node.(type) {
		case *parser.VectorSelector:
			selection := Selection{Metric: one.Name, Labels: []string{}}
			for _, matcher := range one.LabelMatchers {
				if matcher.Name != labels.MetricName {
					selection.Labels = append(selection.Labels, matcher.Name)
				}
			}
			found.Selections = append(found.Selections, selection)
		case *parser.AggregateExpr:
			found.Grouping = append(found.Grouping, one.Grouping...)
		}
		return nil
	})
	return found, nil
}
