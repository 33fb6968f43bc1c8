import Checkpoints
import Files
import Foundation
import TestSupport
import Testing

private func config(_ text: String) throws(FileError) -> HuggingFaceConfig {
  try HuggingFaceConfig(
    parsing: JSONValue(parsing: Array(text.utf8), path: "config.json"), path: "config.json")
}

/// The defaults of `BertConfig()`, `RobertaConfig()` and `XLMRobertaConfig()` in transformers 5.23.
@Test func absentKeysGetTheDefaultsOfTransformers() throws {
  let bert = try config("{\"model_type\": \"bert\"}")
  let roberta = try config("{\"model_type\": \"roberta\"}")
  let xlm = try config("{\"model_type\": \"xlm-roberta\"}")
  #expect([bert, roberta, xlm].map(\.vocabularySize) == [30522, 50265, 30522])
  #expect([bert, roberta, xlm].map(\.padTokenID) == [0, 1, 1])
  #expect([bert, roberta, xlm].map(\.bosTokenID) == [nil, 0, 0])
  #expect([bert, roberta, xlm].map(\.eosTokenIDs) == [[], [2], [2]])
  for config in [bert, roberta, xlm] {
    #expect(config.hiddenSize == 768 && config.intermediateSize == 3072)
    #expect(config.layerCount == 12 && config.headCount == 12)
    #expect(config.maximumPositions == 512 && config.tokenTypeCount == 2)
    #expect(config.layerNormEpsilon == 1e-12 && config.initializerRange == 0.02)
    #expect(config.hiddenDropout == 0.1 && config.attentionDropout == 0.1)
    #expect(config.classifierDropout == nil && config.labels == nil && config.labelCount == 2)
  }
}

@Test func unknownKeysAndDigitsAreWrittenBack() throws {
  let text = """
    {"zeta": {"deep": [1.50, 1e5, null, "é"]}, "model_type": "xlm-roberta", "layer_norm_eps": 1E-05,
     "hidden_size": 64, "num_attention_heads": 4, "eos_token_id": [2, 5], "pad_token_id": null,
     "torch_dtype": "float16", "classifier_dropout": null, "bos_token_id": 0, "use_cache": true,
     "id2label": {"1": "B-PER", "0": "O"}, "label2id": {"O": 0, "B-PER": 1}}
    """
  var read = try config(text)
  #expect(read.labels == ["O", "B-PER"] && read.labelCount == 2)
  #expect(read.eosTokenIDs == [2, 5] && read.padTokenID == nil)
  #expect(read.elementType == "float16")
  let json = read.json
  #expect(json["zeta"]?.compactText == "{\"deep\":[1.50,1e5,null,\"é\"]}")
  #expect(json["layer_norm_eps"] == .number("1E-05"))
  #expect(json["torch_dtype"]?.string == "float16" && json["dtype"] == nil)
  #expect(json["pad_token_id"] == .null && json["classifier_dropout"] == .null)
  #expect(json["id2label"]?.compactText == "{\"0\":\"O\",\"1\":\"B-PER\"}")
  let names = json.object?.members.map(\.name) ?? []
  #expect(names == names.sorted())
  #expect(try config(json.text).json == json)

  read.labels = ["O", "B-LOC", "I-LOC"]
  read.layerNormEpsilon = 1e-6
  read.architectures = ["XLMRobertaForTokenClassification"]
  let directory = try TemporaryDirectory()
  try read.write(directory: directory.path)
  let again = try HuggingFaceConfig(directory: directory.path)
  #expect(again.labels == read.labels && again.labelCount == 3 && again.layerNormEpsilon == 1e-6)
  #expect(again.architectures == read.architectures)
  #expect(again.json["label2id"]?["I-LOC"]?.int == 2)
}

@Test(
  arguments: [
    ("{}", "model_type", "missing"), ("[]", nil, "not a JSON object"),
    ("{\"model_type\": \"gpt2\"}", "model_type", "gpt2"),
    ("{\"model_type\": 1}", "model_type", "not a string"),
    ("{\"model_type\": \"bert\", \"model_type\": \"bert\"}", "model_type", "twice"),
  ] as [(String, String?, String)])
func configThatIsNoneIsRefused(text: String, field: String?, message: String) {
  let error = checkpointError { () throws(FileError) in try config(text) }
  #expect(error?.field == field)
  #expect(error?.message.contains(message) == true)
}

@Test(arguments: [
  ("hidden_size", "0"), ("hidden_size", "-768"), ("hidden_size", "768.0"),
  ("hidden_size", "\"768\""), ("hidden_size", "null"), ("hidden_size", "1e30"),
  ("hidden_size", "9223372036854775808"), ("vocab_size", "0"), ("vocab_size", "1000000000"),
  ("num_hidden_layers", "0"), ("num_hidden_layers", "100000"), ("num_attention_heads", "7"),
  ("num_attention_heads", "0"), ("intermediate_size", "-1"), ("max_position_embeddings", "0"),
  ("type_vocab_size", "0"), ("layer_norm_eps", "0"), ("layer_norm_eps", "-1e-5"),
  ("layer_norm_eps", "1e999"), ("layer_norm_eps", "\"x\""), ("pad_token_id", "-1"),
  ("pad_token_id", "30522"), ("eos_token_id", "[1, -2]"), ("hidden_dropout_prob", "1.5"),
  ("attention_probs_dropout_prob", "-0.1"), ("classifier_dropout", "2"),
  ("initializer_range", "-1"), ("architectures", "\"BertModel\""), ("architectures", "[1]"),
  ("hidden_act", "\"relu\""), ("hidden_act", "\"gelu_new\""), ("hidden_act", "3"),
  ("position_embedding_type", "\"relative_key\""), ("is_decoder", "true"),
  ("add_cross_attention", "true"), ("num_labels", "0"), ("id2label", "{\"x\": \"O\"}"),
  ("id2label", "{\"1\": \"O\"}"), ("id2label", "{\"0\": \"O\", \"2\": \"P\"}"),
  ("id2label", "{}"), ("id2label", "{\"0\": 0}"), ("label2id", "{\"O\": 0, \"P\": 0}"),
  ("label2id", "{\"O\": \"0\"}"), ("dtype", "32"),
])
func impossibleValueIsRefusedByKey(key: String, value: String) {
  let error = checkpointError { () throws(FileError) in
    try config("{\"model_type\": \"bert\", \"\(key)\": \(value)}")
  }
  #expect(error?.code == .data)
  #expect(error?.field == key)
}

@Test func labelCountMustAgree() throws {
  #expect(try config("{\"model_type\": \"bert\", \"num_labels\": 9}").labelCount == 9)
  let nine = try config("{\"model_type\": \"bert\", \"num_labels\": 9}").json
  #expect(try config(nine.text).labelCount == 9)
  let error = checkpointError { () throws(FileError) in
    try config("{\"model_type\": \"bert\", \"num_labels\": 9, \"id2label\": {\"0\": \"O\"}}")
  }
  #expect(error?.field == "num_labels")
}

@Test func configOverTheLimitIsRefusedUnread() throws {
  let directory = try TemporaryDirectory()
  try directory.write([UInt8](repeating: 0x20, count: 10_000_001), to: "config.json")
  let path = directory.path
  let error = checkpointError { () throws(FileError) in
    try HuggingFaceConfig(directory: path)
  }
  #expect(error?.message.contains("over the limit") == true)
}
