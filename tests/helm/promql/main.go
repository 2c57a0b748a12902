// Reads PromQL from its input, one expression a line, and prints what each selects: metric names
// and labels. Ends with 1 at the first that is no PromQL.
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
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		parsed, err := parser.ParseExpr(lines.Text())
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", lines.Text(), err)
			os.Exit(1)
		}
		found := expression{Selections: []Selection{}, Grouping: []string{}}
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
		out, _ := json.Marshal(found)
		fmt.Println(string(out))
	}
}
