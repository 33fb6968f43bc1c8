add, scale, tanh_forward, tanh_backward, gelu_forward, gelu_backward, from_f16, from_bf16, all_finite, sum_of_squares,
    add_bias, bias_gelu, column_sums, bias_dropout_add, dropout, layernorm_forward, layernorm_backward,
    layernorm_parameters, attention_scratch, attention_forward, attention_backward, adamw,
