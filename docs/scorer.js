// A heading or a term of the glossary that says what was asked comes first, then the pages that lead to the lessons.
var Scorer = {
  score: ([docname, title, anchor, description, score, filename, kind]) => {
    if (kind === "title" || kind === "index") return score + 1000;
    return /^docs\/(which|when|glossary)/.test(docname) ? score + 100 : score;
  },
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
